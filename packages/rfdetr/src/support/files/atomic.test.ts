import { execFileSync, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import {
  createFile,
  isPartial,
  recoverFolder,
  removePartial,
  replaceFile,
  replaceFolder,
  replaceText,
} from "./atomic.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "atomic-"));
});

/** A program that ends by a signal while it writes a file. */
const writesAndEnds = `
  import { writeFileSync } from "node:fs";
  import { replaceFile } from ${JSON.stringify(new URL("../../../dist/support/files/atomic.js", import.meta.url).href)};
  const [path, signal] = process.argv.slice(1);
  replaceFile(path, (temporary) => {
    writeFileSync(temporary, "half");
    process.kill(process.pid, signal);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10_000);
  });
`;
const fill = (text: string) => (path: string) => writeFileSync(join(path, "a"), text);
const content = (path: string) => readFileSync(join(path, "a"), "utf8");
const full = (): never => {
  throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
};

describe("createFile", () => {
  it("leaves a file that appeared meanwhile as it is, and says so", () => {
    const path = join(folder, "x");
    const other = () => createFile(path, (temporary) => writeFileSync(temporary, "first"));
    const write = (temporary: string) => {
      writeFileSync(temporary, "second");
      other();
      expect(readFileSync(temporary, "utf8")).toBe("second");
    };
    expect(() => createFile(path, write)).toThrow(
      `Expected a new file to write but ${path} has appeared meanwhile: choose another name, or remove it`,
    );
    expect(readFileSync(path, "utf8")).toBe("first");
    expect(readdirSync(folder)).toEqual(["x"]);
  });

  it("leaves nothing when writing fails", () => {
    expect(() => createFile(join(folder, "x"), full)).toThrow("the disk is full");
    expect(readdirSync(folder)).toEqual([]);
  });

  it.skipIf(process.platform === "win32")("puts no file in the place of a folder, a pipe or a device", () => {
    const [pipe, inside] = [join(folder, "pipe"), join(folder, "inside")];
    execFileSync("sh", ["-c", 'mkfifo "$0"', pipe]);
    mkdirSync(inside);
    const create = (path: string) => createFile(path, (temporary) => writeFileSync(temporary, "text"));
    expect(() => create(pipe)).toThrow(`Expected a file to write but ${pipe} is a device or a pipe`);
    expect(() => create(inside)).toThrow(`inside cannot be written in ${folder}: it is a folder`);
    expect(statSync(pipe).isFIFO()).toBe(true);
    expect(readdirSync(folder)).toEqual(["inside", "pipe"]);
  });
});

describe("replaceFile", () => {
  it("leaves the old file and nothing else when writing fails", () => {
    const path = join(folder, "x");
    replaceText(path, "old");
    const write = (temporary: string) => {
      writeFileSync(temporary, "half");
      full();
    };
    expect(() => replaceFile(path, write)).toThrow(
      `x cannot be written in ${folder}: the disk is full; free some space`,
    );
    expect(readFileSync(path, "utf8")).toBe("old");
    expect(readdirSync(folder)).toEqual(["x"]);
  });

  it.each([
    ["EDQUOT", "the quota of the disk is used up; free some space"],
    ["ENOTEMPTY", "another program has made it meanwhile; choose another name"],
    ["ESTALE", "the network folder that held it has changed"],
  ])("says in words what %s is", (code, reason) => {
    const path = join(folder, "x");
    const fail = () => {
      throw Object.assign(new Error(`${code}: as the system says it`), { code });
    };
    expect(() => replaceFile(path, fail)).toThrow(`x cannot be written in ${folder}: ${reason}`);
  });

  it("lets each of two writers at once write a file of its own", () => {
    const path = join(folder, "x");
    replaceFile(path, (temporary) => {
      writeFileSync(temporary, "the first, which ends last");
      replaceText(path, "the second");
      expect(readFileSync(path, "utf8")).toBe("the second");
      expect(readFileSync(temporary, "utf8")).toBe("the first, which ends last");
    });
    expect(readFileSync(path, "utf8")).toBe("the first, which ends last");
    expect(readdirSync(folder)).toEqual(["x"]);
  });

  it.each(["SIGKILL", "SIGTERM"])("leaves nothing for long of a writer that %s ends", (signal) => {
    const path = join(folder, "x");
    const killed = spawnSync(process.execPath, ["--input-type=module", "-e", writesAndEnds, path, signal], {
      encoding: "utf8",
    });
    expect([killed.signal, killed.stderr]).toEqual([signal, ""]);
    expect(readdirSync(folder)).toHaveLength(1);
    expect(isPartial(readdirSync(folder)[0])).toBe(true);
    replaceText(path, "whole");
    expect(readdirSync(folder)).toEqual(["x"]);
  });

  it.skipIf(process.platform === "win32")("puts no file in the place of a pipe or a device", () => {
    const path = join(folder, "pipe");
    execFileSync("sh", ["-c", 'mkfifo "$0"', path]);
    expect(() => replaceText(path, "text")).toThrow(`Expected a file to write but ${path} is a device or a pipe`);
    expect(statSync(path).isFIFO()).toBe(true);
    expect(readdirSync(folder)).toEqual(["pipe"]);
  });
});

describe("replaceFolder", () => {
  it("replaces the whole folder, and keeps the one before", () => {
    const path = join(folder, "checkpoint");
    for (const text of ["one", "two", "three"]) replaceFolder(path, fill(text));
    expect(content(path)).toBe("three");
    expect(content(`${path}.previous`)).toBe("two");
    expect(readdirSync(folder)).toEqual(["checkpoint", "checkpoint.previous"]);
  });

  it("leaves the old folder and nothing else when writing fails", () => {
    const path = join(folder, "checkpoint");
    replaceFolder(path, fill("one"));
    expect(() => replaceFolder(path, full)).toThrow("the disk is full");
    expect(content(path)).toBe("one");
    expect(readdirSync(folder)).toEqual(["checkpoint"]);
  });

  it("gives up the one before where the disk has no room for three", () => {
    const path = join(folder, "checkpoint");
    for (const text of ["one", "two"]) replaceFolder(path, fill(text));
    replaceFolder(path, (temporary) => (existsSync(`${path}.previous`) ? full() : fill("three")(temporary)));
    expect([content(path), content(`${path}.previous`)]).toEqual(["three", "two"]);
  });

  it("can be recovered from a kill between the two renames", () => {
    const path = join(folder, "checkpoint");
    replaceFolder(path, fill("one"));
    mkdirSync(`${path}.partial`);
    renameSync(path, `${path}.previous`);
    recoverFolder(path);
    removePartial(folder);
    expect(content(path)).toBe("one");
    expect(existsSync(`${path}.previous`)).toBe(false);
    expect(readdirSync(folder)).toEqual(["checkpoint"]);
  });

  it("keeps both folders of a kill after the renames", () => {
    const path = join(folder, "checkpoint");
    for (const text of ["one", "two"]) replaceFolder(path, fill(text));
    recoverFolder(path);
    expect([content(path), content(`${path}.previous`)]).toEqual(["two", "one"]);
  });
});
