import fc from "fast-check";
import { expect, it } from "vitest";
import { parseRecord, recordLine } from "./record-line.js";

it("records survive a line of JSON, numbers that JSON lacks included", () => {
  const number = fc.oneof(
    fc.double({ noDefaultInfinity: true, noNaN: true }).map((x) => x + 0),
    fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
  );
  fc.assert(
    fc.property(number, fc.array(number), (loss, counts) => {
      const record = { v: 1, kind: "step", loss, nested: { counts } };
      const line = recordLine(record);
      expect(line).not.toContain("\n");
      // −0 becomes 0 in JSON; both are equal to readers.
      expect(JSON.stringify(parseRecord(line))).toBe(JSON.stringify(record));
      if (Number.isNaN(loss)) expect(parseRecord(line).loss).toBeNaN();
      else expect(Number(parseRecord(line).loss) + 0).toBe(loss + 0);
    }),
  );
});
