// Records as lines of JSON, numbers that JSON lacks included.

/** Writes a record as a line of JSON. Numbers that JSON lacks become the strings "nan", "inf" and "-inf". */
export function recordLine(record: object): string {
  return JSON.stringify(record, (_, value) =>
    typeof value === "number" && !Number.isFinite(value) ? nameOf(value) : value,
  );
}

/**
 * Reads a line that {@link recordLine} wrote.
 * @throws SyntaxError for a line that is not JSON, such as the incomplete last line of a killed run
 *
 * @example
 * const { kind, step } = parseRecord('{"v":1,"kind":"step","step":7}');
 */
export function parseRecord(line: string): { v: number; kind: string } & Record<string, unknown> {
  // Visiting every value takes longer than to read them, and few lines have such numbers.
  if (!/"(?:nan|-?inf)"/.test(line)) return JSON.parse(line);
  return JSON.parse(line, (_, value) =>
    typeof value === "string" && Object.hasOwn(special, value) ? special[value] : value,
  );
}

const special: Record<string, number> = {
  nan: Number.NaN,
  inf: Number.POSITIVE_INFINITY,
  "-inf": Number.NEGATIVE_INFINITY,
};
const nameOf = (value: number): string => (Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf");
