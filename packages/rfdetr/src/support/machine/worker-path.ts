// Where the script of a worker thread is, and the flags that it starts with.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { InternalError, UsageError } from "../errors.js";

/**
 * The compiled script of a worker: beside the module that starts it, or in the build when that module runs from
 * source, since Node cannot run the .ts file.
 * @param module `import.meta.url` of a module below `src` or `dist`; @param name file name of the script, in the same
 * folder
 * @returns null where the script was not built
 */
export function workerPath(module: string, name: string): string | null {
  // A bundler to CommonJS leaves the address of modules undefined.
  if (module === undefined) return null;
  const beside = new URL(`./${name}`, module).href;
  const built = beside.replace(/\/src\/(?!.*\/src\/)/, "/dist/");
  return [beside, built].map((url) => fileURLToPath(url)).find((path) => existsSync(path)) ?? null;
}

/**
 * As {@link workerPath}, where there is no way without the worker.
 * @throws UsageError if this package was bundled, which leaves its other files behind
 * @throws InternalError if the script was not built
 */
export function workerScript(module: string, name: string): string {
  const script = workerPath(module, name);
  if (script !== null) return script;
  if (isBundled(import.meta.url))
    throw new UsageError(
      `Expected ${name} beside the module that starts it, but a bundler has moved the code and left that file behind`,
      { hint: "Keep rfdetr, @rfdetr/amp and @rfdetr/torch external: list them as such in the bundler's settings" },
    );
  throw new InternalError(`The script ${name} of a thread is missing: run npm run build`);
}

/** @param module `import.meta.url` as this file has it @internal for tests */
export function isBundled(module: string | undefined): boolean {
  return !/\/support\/machine\/worker-path\.[jt]s$/.test(module ?? "");
}

/**
 * Options of a worker thread that leave out Node's `--input-type`. A worker inherits Node's flags, and with that flag,
 * which describes the text of `--eval`, Node refuses to run a file.
 */
export function workerFlags(): { execArgv?: string[] } {
  return process.execArgv.some((flag) => flag.startsWith("--input-type")) ? { execArgv: [] } : {};
}
