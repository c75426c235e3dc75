import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";
import { RunDirectoryError } from "../../support/errors.js";
import { ownFile, RunFolders } from "./run-folders.js";

const root = realpathSync(mkdtempSync(join(tmpdir(), "dash-")));
const runs = join(root, "runs");
afterAll(() => rmSync(root, { recursive: true }));

function makeRun(...names: string[]): string {
  const path = join(runs, ...names);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, "config.json"), "{}");
  return path;
}

const first = makeRun("nano-2");
makeRun("nano-10");
makeRun("sweep", "lr-1");
makeRun("nano-2", "pictures", "inner");
mkdirSync(join(root, "elsewhere"));
writeFileSync(join(root, "elsewhere", "config.json"), "{}");
writeFileSync(join(root, "secret.txt"), "secret");
symlinkSync(join(root, "elsewhere"), join(runs, "linked"));
symlinkSync(join(root, "secret.txt"), join(first, "summary.json"));
symlinkSync(root, join(first, "up"));

describe("the folder of the runs", () => {
  it("holds the folders with a configuration, in the order of their numbers, and none within a run", () => {
    expect(new RunFolders(runs).list().map(({ name }) => name)).toEqual(["nano-2", "nano-10", "sweep/lr-1"]);
  });

  it("may be the folder of one run, which has its name", () => {
    const folders = new RunFolders(first);
    expect(folders.list().map(({ name, path }) => [name, path])).toEqual([["nano-2", first]]);
    expect(folders.only?.path).toBe(first);
    expect(new RunFolders(runs).only).toBeNull();
  });

  it("addresses runs by what does not tell their path", () => {
    const folders = new RunFolders(runs);
    for (const { id, path } of folders.list()) {
      expect(id).toMatch(/^[0-9a-f]{16}$/);
      expect(folders.get(id)?.path).toBe(path);
    }
    expect(folders.get("../elsewhere")).toBeNull();
  });

  it("may be missing where runs are waited for, and has those that come", () => {
    const later = join(root, "later");
    const folders = new RunFolders(later, true);
    expect(folders.list()).toEqual([]);
    mkdirSync(join(later, "nano"), { recursive: true });
    writeFileSync(join(later, "nano", "config.json"), "{}");
    vi.spyOn(performance, "now").mockReturnValue(performance.now() + 5000);
    expect(folders.list().map(({ name }) => name)).toEqual(["nano"]);
    vi.restoreAllMocks();
  });

  it("is refused in a sentence where it is missing or a file", () => {
    expect(() => new RunFolders(join(root, "run"))).toThrow(RunDirectoryError);
    expect(() => new RunFolders(join(root, "secret.txt"))).toThrow(/is a file/);
  });
});

describe("a file of a run", () => {
  it("is one that lies in it itself", () => {
    expect(ownFile(first, "config.json")).toBe(join(first, "config.json"));
    expect(ownFile(first, "pictures", "inner", "config.json")).not.toBeNull();
  });

  it.each([
    ["a link to a file", "summary.json"],
    ["a path through a link", "up/secret.txt"],
    ["a path out of the folder", "../../secret.txt"],
    ["an absolute path of another file", join(root, "secret.txt")],
    ["a path with a NUL", "config.json\0.png"],
    ["a folder", "pictures"],
    ["nothing", "none.json"],
    ["the run itself", ""],
  ])("is not %s", (_, name) => {
    expect(ownFile(first, name)).toBeNull();
  });
});
