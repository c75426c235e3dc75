// Lengths of time as people write them.

const units: Readonly<Record<string, number>> = { d: 86_400, h: 3600, m: 60, min: 60, s: 1 };

/**
 * The seconds of a length of time such as `8h`, `90m`, `1h30m` or `45s`.
 * @returns null if the text is none
 */
export function secondsOf(text: string): number | null {
  const parts = [...text.trim().matchAll(/(\d+(?:\.\d+)?)\s*(d|h|min|m|s)\s*/gy)];
  const length = parts.reduce((sum, [whole]) => sum + whole.length, 0);
  if (parts.length === 0 || length !== text.trim().length) return null;
  if (parts.some(([, , unit], i) => i > 0 && units[unit] >= units[parts[i - 1][2]])) return null;
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * units[unit], 0);
}
