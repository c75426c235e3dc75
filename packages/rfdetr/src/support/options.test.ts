import { describe, expect, it } from "vitest";
import { abortSignal, anyObject, checkOptions, count, oneOf, plainObject, share, text } from "./options.js";

const known = {
  weights: text,
  threshold: share,
  batch: count,
  precision: oneOf("auto", true),
  signal: abortSignal,
};
const check = (options: unknown) => () => checkOptions("predict", options, known);

describe("options of a call", () => {
  it("pass if their names are known and their values of the right kind", () => {
    expect(check({})).not.toThrow();
    expect(check({ weights: "a", threshold: 0, batch: 1, precision: true, signal: undefined })).not.toThrow();
    expect(check({ signal: AbortSignal.abort() })).not.toThrow();
  });

  it.each([
    [{ treshold: 0.5 }, "for predict but received treshold: did you mean threshold?"],
    [{ weigths: "a" }, "did you mean weights?"],
    [{ zebra: 1 }, "for predict but received zebra"],
    [JSON.parse('{"__proto__": 1}'), "for predict but received __proto__"],
    [{ toString: 1 }, "for predict but received toString"],
    [{ weights: 3 }, "Expected text for weights but received 3 of type number"],
    [{ threshold: "high" }, 'Expected number from 0 to 1 for threshold but received "high"'],
    [{ threshold: Number.NaN }, "for threshold but received NaN of type number"],
    [{ batch: 0 }, "Expected positive integer for batch but received 0 of type number"],
    [{ precision: "fp8" }, 'Expected one of "auto", true for precision but received "fp8"'],
    [{ signal: {} }, "Expected an AbortSignal for signal but received {} of type object"],
    [null, "Expected an object of options for predict but received null"],
    ["a.jpg", 'Expected an object of options for predict but received "a.jpg"'],
    [[], "Expected an object of options for predict but received [] of type array"],
  ])("%j are refused in one sentence", (options, message) => {
    expect(check(options)).toThrow(message);
  });

  it("are refused as an object whose values are not its own: they would be missed", () => {
    class Settings {
      get threshold() {
        return 0.5;
      }
    }
    class Fields {
      threshold = 0.5;
      method() {}
    }
    expect(check(new Map([["threshold", 0.5]]))).toThrow(
      "Expected an object of options for predict but received an instance of Map",
    );
    expect(check(new Settings())).toThrow("but received an instance of Settings");
    expect(check(Object.create({ threshold: 0.5 }))).toThrow("but received an instance of Object");
    expect(check(Promise.resolve({}))).toThrow("but received an instance of Promise");
    expect(check(new Fields())).not.toThrow();
    expect(check(Object.assign(Object.create(null), { threshold: 0.5 }))).not.toThrow();
    expect(() => checkOptions("predict", { limits: new Map() }, { limits: anyObject })).toThrow(
      "Expected an object for limits but received an instance of Map",
    );
  });

  it("are there where they are required", () => {
    expect(() => checkOptions("evaluate", {}, known, ["weights"])).toThrow(
      "Expected text for the option weights of evaluate but received none",
    );
  });

  it("must be an object", () => {
    expect(() => plainObject("train", undefined)).toThrow(
      "Expected an object of options for train but received undefined",
    );
  });
});
