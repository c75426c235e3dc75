// Finds a Python that has the package to compare with: the user's, or a virtual environment that is created once.
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { RunDirectoryError, UsageError } from "../../support/errors.js";
import { output } from "../../support/machine/children.js";
import type { Peer } from "./programs.js";

/** Versions that are installed and compared with. */
const packageVersions = { torch: "2.15.0", rfdetr: "1.11.2" } as const;

/** What else a program needs: OpenVINO and onnxruntime read an ONNX file that the package writes. */
const needs: Record<Peer, readonly string[]> = {
  python: [],
  openvino: ["openvino", "onnx"],
  onnxruntime: ["onnxruntime", "onnx"],
};

/** Which interpreter, and what it must have. */
export interface PythonOptions {
  /** An interpreter to use instead of the virtual environment. */
  python?: string;
  /** Programs that it must have beside the package. */
  programs?: readonly Peer[];
  /** Called with what happens next, if it takes long. */
  say?: (text: string) => void;
}

/** Folder of the environment, beside libtorch: below `$RFDETR_HOME` or `~/.cache/rfdetr`. */
function environmentFolder(): string {
  return join(
    resolve(process.env.RFDETR_HOME ?? join(homedir(), ".cache", "rfdetr")),
    `python-rfdetr-${packageVersions.rfdetr}`,
  );
}

/**
 * The path of an interpreter that has the package and the other programs.
 * @throws UsageError if the given interpreter does not have them, with the line that installs them
 * @throws RunDirectoryError if the environment cannot be created, with the last lines of pip
 */
export async function pythonWithPackage({
  python,
  programs = ["python"],
  say = () => {},
}: PythonOptions = {}): Promise<string> {
  const modules = [...new Set(programs.flatMap((program) => needs[program]))];
  if (python !== undefined) {
    await checkPackages(python, modules);
    return python;
  }
  const own = await environment(say);
  const missing = await missingOf(own, modules);
  if (missing.length > 0) {
    say(`installing ${missing.join(" and ")}`);
    await output(own, ["-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", ...missing], {
      maxBuffer: 1 << 26,
    }).catch((error: unknown) => {
      throw notInstalled(missing.join(" and "), dirname(dirname(own)), error);
    });
  }
  return own;
}

/** @throws UsageError unless the interpreter has the package in the version compared with, and the modules */
async function checkPackages(python: string, modules: readonly string[]): Promise<void> {
  const found = await versionOf(python, "rfdetr");
  const missing = found === packageVersions.rfdetr ? await missingOf(python, modules) : modules;
  if (found === packageVersions.rfdetr && missing.length === 0) return;
  const wanted = [`rfdetr ${packageVersions.rfdetr}`, ...modules].join(", ");
  const lacks =
    found === packageVersions.rfdetr
      ? `no ${missing.join(" and no ")}`
      : found === null
        ? "no rfdetr"
        : `rfdetr ${found}`;
  const pip = [`torch==${packageVersions.torch}`, `'rfdetr[train]==${packageVersions.rfdetr}'`, ...modules].join(" ");
  throw new UsageError(
    `Expected a Python with ${wanted} for python but ${python} has ${lacks}: run ${python} -m pip install ${pip}, ` +
      "or name no Python, and an environment is created",
  );
}

async function missingOf(python: string, modules: readonly string[]): Promise<string[]> {
  const versions = await Promise.all(modules.map((name) => versionOf(python, name)));
  return modules.filter((_, i) => versions[i] === null);
}

function notInstalled(what: string, folder: string, error: unknown): RunDirectoryError {
  const { stderr = "", message } = error as { stderr?: string; message: string };
  const said = (stderr || message).trim().split("\n").slice(-2).join(" / ");
  return new RunDirectoryError(`${what} could not be installed in ${folder}: ${said}`, {
    cause: error,
    hint: `Name a Python that has rfdetr ${packageVersions.rfdetr}`,
  });
}

/** An interpreter in a virtual environment of ours that has the package. */
async function environment(say: (text: string) => void): Promise<string> {
  const folder = environmentFolder();
  const own = join(folder, "bin", "python");
  // Written last: an environment without it is incomplete.
  const ready = join(folder, "ready");
  if (existsSync(ready)) return own;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(dirname(folder), { recursive: true });
  try {
    say(
      `creating a Python environment with torch ${packageVersions.torch} and rfdetr ${packageVersions.rfdetr} in ${folder}`,
    );
    // -I: nothing of the current folder is imported.
    await output(process.env.PYTHON ?? "python3", ["-I", "-m", "venv", folder]);
    const pip = ["-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    const torch = `torch==${packageVersions.torch}`;
    try {
      // A tenth of the size of the build for GPUs.
      await output(own, [
        ...pip,
        "--retries",
        "0",
        "--timeout",
        "20",
        "--index-url",
        "https://download.pytorch.org/whl/cpu",
        torch,
      ]);
    } catch {
      say(
        "the CPU build of torch cannot be downloaded here: installing the default one, which takes several gigabytes",
      );
    }
    say("installing the package and its dependencies");
    await output(own, [...pip, torch, `rfdetr[train]==${packageVersions.rfdetr}`], { maxBuffer: 1 << 26 });
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw notInstalled("The Python package", folder, error);
  }
  writeFileSync(ready, "");
  return own;
}

/** Version of an installed package; null where there is none. */
async function versionOf(python: string, name: string): Promise<string | null> {
  try {
    const stdout = await output(python, ["-I", "-c", `import importlib.metadata as m; print(m.version('${name}'))`]);
    return stdout.trim();
  } catch {
    return null;
  }
}
