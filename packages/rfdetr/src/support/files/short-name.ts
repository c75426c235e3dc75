// Names that a file system takes.
import { createHash } from "node:crypto";

/** Bytes that a name may have on the usual file systems. */
export const longestName = 255;

/**
 * A name of at most `most` bytes in UTF-8: what is longer is cut, and ends in a hash of the whole, so that different
 * names stay different.
 */
export function shortName(name: string, most = longestName): string {
  if (Buffer.byteLength(name) <= most) return name;
  const ending = `-${createHash("sha256").update(name).digest("hex").slice(0, 8)}`;
  let kept = "";
  let room = most - ending.length;
  for (const character of name) {
    room -= Buffer.byteLength(character);
    if (room < 0) break;
    kept += character;
  }
  return kept + ending;
}
