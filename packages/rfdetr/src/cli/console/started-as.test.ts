import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startedAs } from "./started-as.js";

const root = realpathSync(mkdtempSync(join(tmpdir(), "started-")));
const program = join(root, "clone/bin/rfdetr.mjs");
const link = join(root, "clone/node_modules/.bin/rfdetr");
const before = process.cwd();
beforeAll(() => {
  for (const folder of ["clone/bin", "clone/node_modules/.bin", "clone/birds", "global", "elsewhere"])
    mkdirSync(join(root, folder), { recursive: true });
  for (const path of [program, join(root, "other.mjs")]) writeFileSync(path, "");
  for (const path of [link, join(root, "global/rfdetr")]) symlinkSync(program, path);
});
afterAll(() => {
  process.chdir(before);
  rmSync(root, { recursive: true });
});
const from = (folder: string, script: string | undefined, env: Record<string, string> = {}): string => {
  process.chdir(join(root, folder));
  return startedAs(script, env, program);
};

it("is npx where npx started it, or would find it", () => {
  expect(from("elsewhere", link, { npm_command: "exec" })).toBe("npx rfdetr");
  expect(from("clone", link)).toBe("npx rfdetr");
  expect(from("clone/birds", program)).toBe("npx rfdetr");
  expect(from("elsewhere", join(root, "other.mjs"))).toBe("npx rfdetr");
  expect(from("elsewhere", undefined)).toBe("npx rfdetr");
});

it("is elsewhere the command on the PATH, or the path that it was started by", () => {
  expect(from("elsewhere", join(root, "global/rfdetr"), { PATH: `/nowhere:${join(root, "global")}` })).toBe("rfdetr");
  expect(from("elsewhere", link)).toBe(link);
  expect(from(".", link)).toBe("clone/node_modules/.bin/rfdetr");
  expect(from("global", join(root, "global/rfdetr"))).toBe("./rfdetr");
  expect(from("elsewhere", program)).toBe(`node ${program}`);
});
