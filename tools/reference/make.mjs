#!/usr/bin/env node
// @ts-check
// Remakes the golden files that tests hold this program to, from the Python package and the libraries it stands on.
//
//   node tools/reference/make.mjs                     all, in Python environments of its own under .cache/reference (2
//   GB, once)
//   node tools/reference/make.mjs settings dataset    those whose script's name holds one of the words
//   node tools/reference/make.mjs --python PATH       with a Python that has rfdetr[train]==1.11.2, pycocotools and
//   SciPy
//   node tools/reference/make.mjs --list              the commands alone
//
// What comes out is the same to the byte, but for the last digits of float64 sums, which follow the number of threads.
//
// How a golden is made stands in its script: the line of its first comment that begins with `python tools/reference/`.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../..");
const environments = {
  rfdetr: ["rfdetr[train]==1.11.2", "pycocotools", "scipy"],
  // It brings an OpenCV of its own.
  albumentations: ["albumentations==2.0.8"],
  tensorboard: ["tensorboard==2.21.0"],
  tidecv: ["tidecv==1.0.1"],
  trackers: ["trackers==2.6.1", "supervision==0.31.2"],
  supervision: ["supervision==0.31.2"],
  torchao: ["torch==2.15.0", "torchao==0.18.0", "bitsandbytes==0.50.2"],
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { python: { type: "string" }, list: { type: "boolean" } },
});

/** The command in a script's first comment, without the interpreter. */
function commandOf(script) {
  const text = readFileSync(join(here, script), "utf8");
  const [, comment = ""] = /"""(.*?)"""/s.exec(text) ?? [];
  const [, line] = /python (tools\/reference\/\S+\.py.*)/.exec(comment) ?? [];
  const environment = Object.keys(environments).find((name) => text.includes(`import ${name}`)) ?? "rfdetr";
  return { script, line, environment };
}

/** Runs a program; its output goes to `file`, where one is given, once it has ended well. */
function run(program, args, file) {
  const { status, error, stdout } = spawnSync(program, args, {
    cwd: root,
    stdio: ["ignore", file ? "pipe" : "inherit", "inherit"],
    maxBuffer: 2 ** 28,
  });
  if (error || status !== 0)
    throw new Error(`${program} ${args.join(" ")} failed${error ? `: ${error.message}` : ` with code ${status}`}`);
  if (file) writeFileSync(join(root, file), stdout);
}

/** The interpreter of an environment, which is made where it is missing. */
function pythonOf(environment) {
  if (values.python !== undefined && environment === "rfdetr") return values.python;
  const folder = join(root, ".cache/reference", environment);
  const python = join(folder, process.platform === "win32" ? "Scripts/python.exe" : "bin/python");
  if (!existsSync(join(folder, "ready"))) {
    run("python3", ["-m", "venv", folder]);
    run(python, ["-m", "pip", "install", "--quiet", ...environments[environment]]);
    writeFileSync(join(folder, "ready"), "");
  }
  return python;
}

/** The folder that holds the package `rfdetr`, for a script that reads it without importing it. */
function folderOfPackage(python) {
  const { stdout } = spawnSync(python, ["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], {
    encoding: "utf8",
  });
  return stdout.trim();
}

const scripts = readdirSync(here)
  .filter(
    (name) => name.endsWith(".py") && (positionals.length === 0 || positionals.some((word) => name.includes(word))),
  )
  .map(commandOf)
  .filter(({ line }) => line !== undefined);
let failed = 0;
for (const { script, line, environment } of scripts) {
  console.error(values.list ? `${environment}: python ${line}` : script);
  if (values.list) continue;
  try {
    const python = pythonOf(environment);
    const [command, output] = line.split(">").map((part) => part.trim());
    const args = command.split(/\s+/).map((word) => (word === "FOLDER_WITH_RFDETR" ? folderOfPackage(python) : word));
    run(python, args, output);
  } catch (error) {
    failed++;
    console.error(`  ${error.message}`);
  }
}
if (scripts.length === 0)
  console.error(`Expected a word of one of the scripts in ${here} but received ${positionals.join(", ")}`);
process.exitCode = failed > 0 || scripts.length === 0 ? 1 : 0;
