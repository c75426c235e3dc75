// `rfdetr doctor` in a clone that has its npm packages and nothing else.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { testFolder } from "../src/testing/test-folder.js";

const packages = fileURLToPath(new URL("../..", import.meta.url));
const folder = testFolder();

it("says in one sentence that it changes nothing, and counts what npm install brought", () => {
  for (const part of ["torch/setup", "rfdetr/bin"])
    cpSync(join(packages, part), join(folder, "packages", part), { recursive: true });
  for (const made of ["packages/torch/src", "packages/rfdetr/src", "node_modules/typescript", "home"])
    mkdirSync(join(folder, made), { recursive: true });
  const { LIBTORCH: _, RFDETR_ADDON: __, ...others } = process.env;
  const env = { ...others, HOME: join(folder, "home"), RFDETR_HOME: join(folder, "home") };
  const script = join(folder, "packages/rfdetr/bin/rfdetr.mjs");
  const { status, stdout } = spawnSync(process.execPath, [script, "doctor"], { cwd: folder, env, encoding: "utf8" });
  const [said, , ...lines] = stdout.trimEnd().split("\n");
  expect(said).toBe(
    "rfdetr is not set up yet (npm install brings the packages alone): this is what is there and what is missing, and nothing is changed.",
  );
  expect(lines).toContain("  ok       npm packages      installed");
  expect(lines).toContain("  MISSING  addon             not built");
  expect(lines.at(-1)).toBe(
    "npm run setup does all of it that needs no administrator; so does the first command that needs it.",
  );
  expect(status).toBe(1);
});
