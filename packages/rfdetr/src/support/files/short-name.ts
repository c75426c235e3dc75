// Cuts names to the length that a file system takes.
import { sha256 } from "./sha256.js";

/** Bytes that a name may have on the usual file systems. */
export const longestName = 255;

/**
 * A name of at most `most` bytes in UTF-8: what is longer is cut, and ends in a hash of the whole, so that different
 * names stay different.
 */
export function shortName(name: string, most = longestName): string {
  if (Buffer.byteLength(name) <= most) return name;
  const ending = `-${sha256(name).slice(0, 8)}`;
  let kept = "";
  let room = most - ending.length;
  for (const character of name) {
    room -= Buffer.byteLength(character);
    if (room < 0) break;
    kept += character;
  }
  return kept + ending;
}
