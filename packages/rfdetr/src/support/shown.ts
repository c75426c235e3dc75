// Values of files and of callers in messages.

/** JSON has no NaN and no infinity. */
const finite = (_: string, part: unknown): unknown =>
  typeof part === "number" && !Number.isFinite(part) ? String(part) : part;

/**
 * A value as JSON, for a message: what is longer than a line or two is cut, and what is nested beyond the stack or
 * contains itself is not written out.
 */
export function shown(value: unknown, longest = 200): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(typeof value === "string" ? value.slice(0, longest) : value, finite);
  } catch {
    return "a value";
  }
  if (text === undefined) return value === undefined ? "nothing" : String(value);
  return text.length <= longest ? text : `${text.slice(0, longest - 1)}…`;
}
