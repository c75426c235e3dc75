import { readFileSync } from "node:fs";
import { AmpError, PolicyError } from "@rfdetr/amp";
import { DisposedError, EngineError, TorchError } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { packError, unpackError } from "./error-transfer.js";
import * as classes from "./errors.js";
import {
  addHint,
  ConfigError,
  DataError,
  expected,
  InternalError,
  isUserError,
  PictureError,
  RfdetrError,
} from "./errors.js";

const errorClasses = Object.entries(classes).filter(
  (entry): entry is [string, typeof ConfigError] =>
    typeof entry[1] === "function" && entry[1].prototype instanceof Error,
);

describe("RfdetrError", () => {
  it("is the base of every class, each named as it is exported", () => {
    expect(errorClasses.length).toBeGreaterThan(10);
    for (const [name, Class] of errorClasses.filter(([name]) => name !== "RfdetrError")) {
      const error = new (Class as unknown as new (...args: unknown[]) => RfdetrError)("ERR_X", "what happened");
      expect(error).toBeInstanceOf(RfdetrError);
      expect(error.name).toBe(name);
      expect(error.code).toMatch(/^ERR_/);
      expect(RfdetrError.is(error)).toBe(true);
    }
  });

  it("has each class in docs/errors.md, beside its code", () => {
    const page = readFileSync(new URL("../../../../docs/errors.md", import.meta.url), "utf8");
    for (const [name, Class] of errorClasses.filter(([name]) => name !== "RfdetrError")) {
      expect(page).toContain(`| \`${name}\` |`);
      const { code } = new Class("x");
      if (code.startsWith("ERR_")) expect(page).toContain(`| \`${code}\` | \`${name}\` |`);
    }
  });

  it("carries message, cause and hint", () => {
    const cause = new Error("below");
    const error = new ConfigError("Expected a, received b", { cause, hint: "Set c" });
    expect(error).toMatchObject({
      name: "ConfigError",
      code: "ERR_CONFIG",
      message: "Expected a, received b",
      hint: "Set c",
      cause,
    });
    expect("hint" in new ConfigError("x")).toBe(false);
    expect("cause" in new ConfigError("x")).toBe(false);
  });

  it("adds a hint after the one that is there", () => {
    expect(addHint(new DataError("x"), "One").hint).toBe("One");
    expect(addHint(new DataError("x", { hint: "One" }), "Two").hint).toBe("One. Two");
  });
});

describe("RfdetrError.is", () => {
  it("recognises the families of the packages below", () => {
    expect(new PolicyError("x")).toBeInstanceOf(AmpError);
    expect(RfdetrError.is(new PolicyError("x"))).toBe(true);
    expect(new EngineError("x")).toBeInstanceOf(TorchError);
    expect(RfdetrError.is(new EngineError("x"))).toBe(true);
  });

  it("is false for every other error, with a code or without", () => {
    expect(RfdetrError.is(Object.assign(new Error("x"), { code: "ERR_CONFIG" }))).toBe(false);
    expect(RfdetrError.is(new Error("x"))).toBe(false);
    expect(RfdetrError.is({ code: "ERR_CONFIG" })).toBe(false);
  });
});

describe("isUserError", () => {
  it("is true for the family alone", () => {
    expect(isUserError(new DataError("x"))).toBe(true);
    expect(isUserError(Object.assign(new Error("ENOENT: no such file"), { code: "ENOENT" }))).toBe(false);
    expect(isUserError(new TypeError("x"))).toBe(false);
    expect(isUserError("x")).toBe(false);
    expect(isUserError(undefined)).toBe(false);
  });

  it("is false for a fault of this program", () => {
    expect(RfdetrError.is(new InternalError("x"))).toBe(true);
    expect(isUserError(new InternalError("x"))).toBe(false);
    expect(isUserError(new DisposedError())).toBe(false);
  });
});

describe("unpackError(packError())", () => {
  const sent = (error: unknown): Promise<Error> => unpackError(structuredClone(packError(error)));

  it("keeps class, code, message, hint, stack and causes of an error of the family", async () => {
    const cause = Object.assign(new RangeError("below"), { code: "ERR_OUT_OF_RANGE" });
    const error = new PictureError("ERR_PICTURE_OUTPUT", "cannot", { cause, hint: "Do" });
    const received = await sent(error);
    expect(received).toBeInstanceOf(PictureError);
    expect(received).toMatchObject({
      name: "PictureError",
      code: "ERR_PICTURE_OUTPUT",
      message: "cannot",
      hint: "Do",
      stack: error.stack,
    });
    expect(received.cause).toBeInstanceOf(RangeError);
    expect(received.cause).toMatchObject({ code: "ERR_OUT_OF_RANGE", message: "below", stack: cause.stack });
  });

  it("leaves out a cause that leads back", async () => {
    const [first, second] = [new Error("first"), new Error("second")];
    first.cause = second;
    second.cause = first;
    const received = await sent(first);
    expect(received.message).toBe("first");
    expect((received.cause as Error).message).toBe("second");
    expect((received.cause as Error).cause).toBeUndefined();
  });

  it("keeps errors of the packages below", async () => {
    const received = await sent(new EngineError("The engine is not built"));
    expect(received).toBeInstanceOf(EngineError);
    expect(received).toMatchObject({ code: "ERR_ENGINE", hint: new EngineError("").hint });
    expect(await sent(new PolicyError("x"))).toBeInstanceOf(PolicyError);
  });

  it("keeps what is of no family so", async () => {
    const received = await sent(Object.assign(new Error("ENOENT: no such file"), { code: "ENOENT" }));
    expect(received).toMatchObject({ name: "Error", code: "ENOENT" });
    expect(isUserError(received)).toBe(false);
    expect((await sent("text")).message).toBe("text");
  });

  it("keeps the family of an error whose class is not there", async () => {
    const received = await unpackError({ name: "GoneError", family: "rfdetr", code: "ERR_GONE", message: "x" });
    expect(received.name).toBe("GoneError");
    expect(isUserError(received)).toBe(true);
  });
});

describe("the sentence of an argument error", () => {
  it("shows the value, if it is not too long or too deep for that", () => {
    expect(expected("a number", "lr", "fast")).toBe('Expected a number for lr but received "fast"');
    expect(expected("a number", "lr", "x".repeat(1e6))).toMatch(/received "x{198}…$/);
    const deep = JSON.parse(`${"[".repeat(1e5)}${"]".repeat(1e5)}`);
    expect(expected("a number", "lr", deep)).toBe("Expected a number for lr but received a value of type array");
  });
});
