// "Did you mean …?" for paths that do not exist.
import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { suggest } from "../suggest.js";

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

/** `: did you mean PATH?`, or nothing. @param path a path that does not exist */
export function orNearPath(path: string): string {
  const near = nearPath(path);
  return near === undefined ? "" : `: did you mean ${near}?`;
}
