// @ts-check
// The command, as users have it.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const command = fileURLToPath(new URL("../../packages/rfdetr/bin/rfdetr.mjs", import.meta.url));
const theirScript = fileURLToPath(new URL("../../packages/rfdetr/python/python_package.py", import.meta.url));
const run = promisify(execFile);

/** Runs a program. @returns what it printed. @throws Error with the last line of its errors */
async function outputOf(name, file, args, options) {
  try {
    return String((await run(file, args, { ...options, maxBuffer: 1 << 26 })).stdout);
  } catch (error) {
    const said = `${error.stdout ?? ""}\n${error.stderr ?? ""}`.trim().split("\n").at(-1);
    throw new Error(`${name}: ${said || error.message}`);
  }
}

/** Runs the command in a folder. @returns what it printed. @throws Error with the last line of its errors */
export const rfdetr = (folder, ...args) =>
  outputOf(`rfdetr ${args.join(" ")}`, process.execPath, [command, ...args], { cwd: folder });

/** Runs the script that times the Python package. @returns the line of data that it printed. @throws as rfdetr() */
export async function pythonPackage(python, ...args) {
  const printed = await outputOf(`the Python package, ${args.join(" ")}`, python, [theirScript, ...args]);
  return printed.trim().split("\n").at(-1) ?? "";
}

/** Runs `body` with a folder that is removed afterwards. */
export async function inFolder(body) {
  const folder = mkdtempSync(join(tmpdir(), "gpu-check-"));
  try {
    await body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Writes a small dataset into the folder. */
export const synthesise = (folder) =>
  rfdetr(folder, "data", "synth", "data", "--images", "24", "--size", "64", "--classes", "3", "--seed", "1");

/** Arguments that train a tiny detector on that dataset. */
export const trainTiny = ["train", "--data", "data", "--model", "tiny", "--resolution", "64", "--seed", "3", "--plain"];
