// Where the script of a worker thread is, and the flags that it starts with.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * The compiled script of a worker: beside the module that starts it, or in the build when that module runs from
 * source, since Node cannot run the .ts file.
 * @param module `import.meta.url` of a module below `src` or `dist`; @param name file name of the script, in the same
 * folder
 * @returns null where the script was not built
 */
export function workerPath(module: string, name: string): string | null {
  const beside = new URL(`./${name}`, module).href;
  const built = beside.replace(/\/src\/(?!.*\/src\/)/, "/dist/");
  return [beside, built].map((url) => fileURLToPath(url)).find((path) => existsSync(path)) ?? null;
}

/**
 * Options of a worker thread that leave out Node's `--input-type`. A worker inherits Node's flags, and with that flag,
 * which describes the text of `--eval`, Node refuses to run a file.
 */
export function workerFlags(): { execArgv?: string[] } {
  return process.execArgv.some((flag) => flag.startsWith("--input-type")) ? { execArgv: [] } : {};
}
