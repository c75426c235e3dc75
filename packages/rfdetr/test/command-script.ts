// The command in a process of its own, as its users meet it.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { testFolder } from "../src/testing/test-folder.js";

/** Where the commands of a test file run. */
export const folder = testFolder();

/** The program, for Node to run. */
export const script = join(folder, "rfdetr.mjs");
const entry = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
writeFileSync(
  script,
  `import { main } from ${JSON.stringify(entry)};\nprocess.exitCode = await main(process.argv.slice(2));\n`,
);

/** Runs a command to its end. */
export function rfdetr(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { cwd: folder, encoding: "utf8" });
  return { status, stdout, stderr };
}
