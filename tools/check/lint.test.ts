import { expect, test } from "vitest";
import { lint } from "../lint.mjs";

test("every check runs; one that fails shows its output, one that skips says so", () => {
  const lines: string[] = [];
  const failed = lint(
    [
      ["first", "node", "-e", "console.log('all is well')"],
      ["second", "node", "-e", "console.log('a.ts:1: wrong'); process.exit(1)"],
      ["third", "no-such-program"],
      ["last one", "node", "-e", "console.log('last: skipped, nothing is installed')"],
    ],
    (line) => lines.push(line.replace(/ +\d+\.\d s$/, "")),
  );
  expect(failed).toEqual(["second", "third"]);
  expect(lines).toEqual([
    "ok     first",
    "FAILED second",
    "a.ts:1: wrong",
    "FAILED third",
    expect.stringContaining("no-such-program"),
    "ok     last one",
    "last: skipped, nothing is installed",
  ]);
});
