// `bin/rfdetr.mjs`, which sets up what a command needs, in a checkout of which it is the only true part.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, it } from "vitest";

const root = mkdtempSync(join(tmpdir(), "launcher-"));
afterAll(() => rmSync(root, { recursive: true }));
const launcher = join(root, "packages/rfdetr/bin/rfdetr.mjs");
mkdirSync(join(root, "packages/rfdetr/src"), { recursive: true });
cpSync(fileURLToPath(new URL("../bin/rfdetr.mjs", import.meta.url)), launcher, { recursive: true });
const put = (path: string, text: string): void => {
  mkdirSync(join(root, dirname(path)), { recursive: true });
  writeFileSync(join(root, path), text);
};
put("packages/rfdetr/dist/cli/main.js", "export const main = () => (console.log('command'), 0);");
put("packages/rfdetr/package.json", '{ "type": "module" }');
put("node_modules/@rfdetr/torch/package.json", '{ "type": "module", "exports": { "./setup": "./setup.js" } }');

/** What the launcher does, where set-up has made so much. */
function does(
  args: string[],
  { isBuilt, isReady, checks = [] }: { isBuilt: boolean; isReady: boolean; checks?: object[] },
): string[] {
  put(
    "node_modules/@rfdetr/torch/setup.js",
    `export const isBuilt = () => ${isBuilt};
     export const isReady = () => ${isReady};
     export const preflight = async () => (${JSON.stringify(checks)});
     export const setupOrExit = async () => console.log("set-up");`,
  );
  return spawnSync(process.execPath, [launcher, ...args], { encoding: "utf8" })
    .stdout.trim()
    .split("\n");
}

it("waits for the set-up of libtorch only where a command needs it", () => {
  const compiling = { isBuilt: true, isReady: false };
  for (const args of [["data", "synth", "birds"], ["dash"], ["predict", "a.jpg", "--weights", "birds.onnx"]])
    expect(does(args, compiling)).toEqual(["command"]);
  expect(does(["train", "--data", "birds"], compiling)).toEqual(["set-up", "command"]);
  expect(does(["train", "--data", "birds"], { isBuilt: true, isReady: true })).toEqual(["command"]);
});

it("names the next command where nothing but set-up was asked for", () => {
  const whole = { isBuilt: true, isReady: true };
  const next = "ready; next: npx rfdetr demo trains a small detector in minutes; npx rfdetr --help lists the commands";
  expect(does(["setup"], whole)).toEqual(["set-up", next]);
  expect(does(["setup", "--json"], whole)).toEqual(["set-up", '{"ready":true}']);
});

it("sets up a checkout that is not built as it is, whatever the command", () => {
  expect(does(["data", "synth", "birds"], { isBuilt: false, isReady: false })).toEqual(["set-up", "command"]);
});

it("says of each part whether it is there, out of date, waits to be put into its place, or is missing", () => {
  const remedy = "run npx rfdetr setup";
  const checks = [
    { name: "Node.js", ok: true, found: "20" },
    { name: "npm packages", ok: false, stale: true, found: "old", remedy },
    { name: "addon", ok: false, prebuilt: true, found: "prebuilt", remedy },
    { name: "libtorch", ok: false, found: "not there yet", remedy },
  ];
  const lines = does(["doctor"], { isBuilt: true, isReady: false, checks }).filter((line) => /^ {2}\S/.test(line));
  expect(lines.map((line) => line.trim().split(/ {2,}/))).toEqual([
    ["ok", "Node.js", "20"],
    ["STALE", "npm packages", "old"],
    ["WAITING", "addon", "prebuilt"],
    ["MISSING", "libtorch", "not there yet"],
  ]);
});
