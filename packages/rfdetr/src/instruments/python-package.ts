// Finds a Python that has the package to compare with: the user's, or a virtual environment that is created once.
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { RunDirectoryError, UsageError } from "../support/errors.js";

/** Versions that are installed and compared with. */
const packageVersions = { torch: "2.15.0", rfdetr: "1.11.2" } as const;

const run = promisify(execFile);

export interface PythonOptions {
  /** An interpreter to use instead of the virtual environment. */
  python?: string;
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
 * The path of an interpreter that has the package.
 * @throws UsageError if the given interpreter does not have it
 * @throws RunDirectoryError if the environment cannot be created, with the last lines of pip
 */
export async function pythonWithPackage({ python, say = () => {} }: PythonOptions = {}): Promise<string> {
  if (python !== undefined) {
    const found = await versionOf(python);
    if (found === packageVersions.rfdetr) return python;
    throw new UsageError(
      `Expected a Python with rfdetr ${packageVersions.rfdetr} for python but ${python} has ${found ?? "none"}: ` +
        "install it there, or name no Python, and an environment is created",
    );
  }
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
    await run(process.env.PYTHON ?? "python3", ["-I", "-m", "venv", folder]);
    const pip = ["-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    const torch = `torch==${packageVersions.torch}`;
    try {
      // A tenth of the size of the build for GPUs.
      await run(own, [
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
    await run(own, [...pip, torch, `rfdetr[train]==${packageVersions.rfdetr}`], { maxBuffer: 1 << 26 });
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    const { stderr = "", message } = error as { stderr?: string; message: string };
    const said = (stderr || message).trim().split("\n").slice(-2).join(" / ");
    throw new RunDirectoryError(`The Python package could not be installed in ${folder}: ${said}`, {
      cause: error,
      hint: `Name a Python that has rfdetr ${packageVersions.rfdetr}`,
    });
  }
  writeFileSync(ready, "");
  return own;
}

async function versionOf(python: string): Promise<string | null> {
  try {
    const { stdout } = await run(python, ["-I", "-c", "import importlib.metadata as m; print(m.version('rfdetr'))"]);
    return stdout.trim();
  } catch {
    return null;
  }
}
