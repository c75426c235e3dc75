// Decimal numbers in the text of users.

/**
 * The number that a text is in decimal notation, such as `0.5`, `-3` or `1e-5`. `Number` takes more: hexadecimal, an
 * empty text, `Infinity`.
 * @returns NaN for anything else
 */
export const decimal = (text: string): number =>
  /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
