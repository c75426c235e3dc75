// Where the script of a worker thread is.
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
