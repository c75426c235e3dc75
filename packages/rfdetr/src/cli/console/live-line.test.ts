import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stepEvent } from "../../testing/runs/run-events.js";
import { LiveLine } from "./live-line.js";
import { widthOf, written } from "./style.js";

const noon = () => new Date(2026, 0, 1, 12, 0);
function line(step = {}): LiveLine {
  const live = new LiveLine(noon);
  live.step({ ...stepEvent, ...step });
  return live;
}
const at = (columns: number | null, live = line()): string => written(live.text(columns), false);

describe("the live line", () => {
  it.each([
    [40, "1:02:03 left (13:02) · epoch 3/50 28 %"],
    [60, "1:02:03 left (13:02) · epoch 3/50 28 % · loss 12.346"],
    [80, "1:02:03 left (13:02) · epoch 3/50 ━━╸─────── 28 % · loss 12.346 · 12 img/s"],
    [
      120,
      "1:02:03 left (13:02) · epoch 3/50 ━━━━━╸────────────── 28 % · loss 12.346 · 12 img/s · 16-mixed scale 65536 skipped 2",
    ],
    [
      null,
      "1:02:03 left (13:02) · epoch 3/50 28 % · loss 12.346 · 12 img/s · 16-mixed scale 65536 skipped 2 · 2.10 GiB · step 214/4,700 · lr 1.0e-4 · 448 px",
    ],
  ])("begins with the time left, and holds whole figures at %s columns", (columns, text) => {
    expect(at(columns)).toBe(text);
  });

  it("says nothing that is not known yet", () => {
    const first = line({ step: 1, stepInEpoch: 1, lr: 0, imagesPerSecond: 0, secondsLeft: Number.POSITIVE_INFINITY });
    expect(at(null, first)).toBe(
      "epoch 3/50 1 % · loss 12.346 · 16-mixed scale 65536 skipped 2 · 2.10 GiB · step 1/4,700 · 448 px",
    );
  });

  it("counts the epochs that the run has steps for", () => {
    expect(at(40, line({ plannedEpochs: 4 }))).toContain("epoch 3/4 ");
  });

  it("counts epochs and steps against no end before that is planned", () => {
    const text = at(null, line({ plannedEpochs: null }));
    expect(text).toContain(" · epoch 3 28 % · ");
    expect(text).toContain(" · step 214 · ");
  });

  it("fits terminals of every width", () => {
    fc.assert(
      fc.property(fc.integer({ min: 30, max: 300 }), fc.nat(94), fc.nat(10 ** 6), (columns, stepInEpoch, skipped) => {
        const live = line({ stepInEpoch, skippedSteps: skipped });
        expect(widthOf(live.text(columns))).toBeLessThanOrEqual(columns);
        expect(widthOf(live.evaluation(17, 250, columns))).toBeLessThanOrEqual(columns);
      }),
    );
  });

  it.each([
    [80, "1:02:03 left (13:02) · evaluating 120/2,500 · epoch 3/50"],
    [45, "1:02:03 left (13:02) · evaluating 120/2,500"],
    [40, "evaluating 120/2,500"],
  ])("says how far an evaluation is at %i columns", (columns, text) => {
    expect(written(line().evaluation(120, 2500, columns), false)).toBe(text);
  });

  it("says how far an evaluation is before any step", () => {
    expect(new LiveLine(noon).evaluation(1, 2, 80)).toBe("evaluating 1/2");
  });
});
