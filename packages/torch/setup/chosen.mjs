// The libtorch that the user chose, by LIBTORCH or a flag. It is remembered in the cache, so that later commands, and
// other checkouts of the same user, take it without being told again.
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { cacheFolder } from "./machine.mjs";
import { say } from "./report.mjs";

/** In the place of a folder: forgets the choice. */
const automatic = "auto";

/** How to forget it. */
export const toForget = "rfdetr setup --libtorch auto";

const file = () => join(cacheFolder(), "libtorch.json");

/** The folder that was chosen before; "" for none. @returns {string} */
export function rememberedLibtorch() {
  try {
    return String(JSON.parse(readFileSync(file(), "utf8")).folder);
  } catch {
    return "";
  }
}

/** The libtorch that is named now; "" for none. @param {string} [flag] goes before LIBTORCH */
export function namedLibtorch(flag) {
  if (flag === automatic) return "";
  return flag ?? process.env.LIBTORCH ?? "";
}

/** The libtorch that is named now, or was before; "" for none. @param {string} [flag] */
export const chosenLibtorch = (flag) => namedLibtorch(flag) || rememberedLibtorch();

/** Keeps a choice that has proved to work. @param {string} folder absolute */
export function rememberLibtorch(folder) {
  if (rememberedLibtorch() === folder) return;
  const temporary = `${file()}.${process.pid}`;
  try {
    mkdirSync(dirname(temporary), { recursive: true });
    writeFileSync(temporary, `${JSON.stringify({ folder }, null, 2)}\n`);
    renameSync(temporary, file());
    say(`  remembered for later commands; ${toForget} forgets it`);
  } catch (error) {
    say(`  not remembered for later commands: ${error.message}`);
  }
}

/**
 * Forgets the choice if the user says so. @param {string | undefined} flag
 * @param {boolean} isReplaced by another wish
 * @returns {boolean} whether there was one
 */
export function forgetLibtorch(flag, isReplaced) {
  const folder = rememberedLibtorch();
  if (folder === "" || (flag !== automatic && !isReplaced)) return false;
  rmSync(file(), { force: true });
  say(`the choice of ${folder} is forgotten`);
  return true;
}
