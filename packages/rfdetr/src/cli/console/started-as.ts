// How the user starts the program, so that a command that it prints can be pasted.
import { existsSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { shellWord, shownPath } from "../../support/format.js";

/** What every command begins with. */
const launcher = fileURLToPath(new URL("../../../bin/rfdetr.mjs", import.meta.url));

/**
 * The words that start this program from the current folder: `npx rfdetr` where that finds it, else its name on the
 * PATH, or the path that it was started by.
 */
export function startedAs(
  script: string | undefined = process.argv[1],
  env: Readonly<Record<string, string | undefined>> = process.env,
  program: string = launcher,
): string {
  const usual = "npx rfdetr";
  const isProgram = (path: string): boolean => existsSync(path) && realpathSync(path) === realpathSync(program);
  // Another script has loaded this one, or npx has found it.
  if (env.npm_command === "exec" || script === undefined || !existsSync(program) || !isProgram(script)) return usual;
  for (let folder = process.cwd(); ; folder = dirname(folder)) {
    if (isProgram(join(folder, "node_modules", ".bin", "rfdetr"))) return usual;
    if (folder === dirname(folder)) break;
  }
  const folders = (env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  if (folders.some((folder) => isProgram(join(folder, "rfdetr")))) return "rfdetr";
  const path = shownPath(script);
  if (path.endsWith(".mjs")) return `node ${shellWord(path)}`;
  return shellWord(/[\\/]/.test(path) ? path : `./${path}`);
}
