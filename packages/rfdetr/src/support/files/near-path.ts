// "Did you mean …?" for paths that do not exist.
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, join, sep } from "node:path";
import { suggest } from "../suggest.js";
import { isSystemError, reasonOf } from "./system-error.js";

/** So many names of a folder are compared. */
const compared = 2000;

/**
 * The path that exists and that one which does not was probably meant to be: the first part that is missing becomes
 * the nearest name in its folder, and so on.
 * @param path a path that does not exist
 * @returns undefined where nothing is near
 * @internal for tests
 */
export function nearPath(path: string): string | undefined {
  const parts: string[] = [];
  let folder = path;
  while (!existsSync(folder) && dirname(folder) !== folder) {
    parts.unshift(basename(folder));
    folder = dirname(folder);
  }
  const [missing, ...rest] = parts;
  if (missing === undefined) return undefined;
  const meant = suggest(missing, namesIn(folder));
  if (meant === undefined) return undefined;
  const near = join(folder, meant, ...rest);
  return existsSync(near) ? near : rest.length === 0 ? undefined : nearPath(near);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).slice(0, compared);
  } catch {
    return [];
  }
}

/**
 * Why nobody can look into a folder, or what keeps it from being seen, such as missing rights; null where one can, and
 * where there is none. What is in such a folder seems not to exist.
 */
export function hidden(folder: string): string | null {
  try {
    statSync(`${folder}${sep}.`);
    return null;
  } catch (error) {
    return isSystemError(error) && !["ENOENT", "ENOTDIR"].includes(error.code as string) ? reasonOf(error) : null;
  }
}

/** `does not exist: did you mean PATH?`, or why that cannot be known. @param path that seems not to exist */
export function absence(path: string): string {
  const reason = hidden(path);
  return reason === null ? `does not exist${orNearPath(path)}` : `cannot be read: ${reason}`;
}

/** `: did you mean PATH?`, or nothing. @param path a path that does not exist */
export function orNearPath(path: string): string {
  const near = nearPath(path);
  return near === undefined ? "" : `: did you mean ${near}?`;
}
