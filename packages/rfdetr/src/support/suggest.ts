// "Did you mean …?" for misspelt names.
import { editDistance } from "@rfdetr/amp/text";

/** `: did you mean NAME?` for a misspelt name, or nothing. */
export function didYouMean(word: string, known: Iterable<string>): string {
  const meant = suggest(word, known);
  return meant === undefined ? "" : `: did you mean ${meant}?`;
}

/**
 * The known name that `word` was probably meant to be: few edits away, or containing it, or contained in it, from the
 * beginning of a word on: `start` is no `max_restarts`. Case, hyphens and underscores do not count.
 */
export function suggest(word: string, known: Iterable<string>): string | undefined {
  const wanted = plain(word);
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const name of known) {
    const candidate = plain(name);
    const long = wanted.length >= 4 && candidate.length >= 4;
    const within = long && (contains(name, wanted) || contains(word, candidate));
    const distance = within ? 1.5 : editDistance(wanted, candidate);
    if (distance < bestDistance) [best, bestDistance] = [name, distance];
  }
  return bestDistance <= Math.max(1, Math.floor(wanted.length / 3)) || bestDistance === 1.5 ? best : undefined;
}

const plain = (name: string): string => name.toLowerCase().replace(/[-_]/g, "");

/** Where a word begins: after what is neither a letter nor a digit, and at capitals. */
const beginnings = /^|(?<=[^\p{L}\p{N}])|(?<=\p{Ll})(?=\p{Lu})/gu;

/** Whether a name contains a plain text, from the beginning of one of its words on. */
function contains(name: string, text: string): boolean {
  return [...name.matchAll(beginnings)].some(({ index }) => plain(name.slice(index)).startsWith(text));
}
