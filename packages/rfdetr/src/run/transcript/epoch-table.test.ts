import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { epochEvent as epoch } from "../../testing/runs/run-events.js";
import { EpochTable } from "./epoch-table.js";

const unscaled = { ...epoch, amp: { ...epoch.amp, precision: "bf16-mixed", lossScale: null } };

describe("the table of epochs", () => {
  it.each([
    [40, "epoch AP AP50 time"],
    [60, "epoch loss AP AP50 skipped time"],
    [80, "epoch step loss val loss AP AP50 skipped img/s time"],
    [120, "epoch step loss class box giou val loss AP AP50 AP75 lr skipped img/s time"],
    [null, "epoch step loss class box giou val loss AP AP50 AP75 lr skipped img/s time"],
  ])("has the columns that fit into %s", (width, titles) => {
    const { titles: head, row, mark } = new EpochTable().row({ ...unscaled, best: true }, width);
    expect(head?.trim().split(/ +/).join(" ")).toBe(titles);
    expect(row).toMatch(/^ +1\/50 .* 1:05$/);
    expect(row).toHaveLength(head?.length ?? 0);
    if (width !== null) expect(`${row}${mark}`.length).toBeLessThan(width);
  });

  it.each([
    [40, "epoch mask AP AP time"],
    [60, "epoch mask AP mask AP50 AP AP50 time"],
    [80, "epoch loss mask AP mask AP50 AP AP50 skipped time"],
    [null, "epoch step loss class box giou val loss mask AP mask AP50 AP AP50 AP75 lr skipped img/s time"],
  ])("has the figures of masks before those of boxes where the model has them, in %s columns", (width, titles) => {
    const masks = { ap: 0.25, ap50: 0.75, ap75: null, perClass: [] };
    const { titles: head, row, mark } = new EpochTable().row({ ...unscaled, masks, ap: 0, best: true }, width);
    expect(head?.trim().split(/ +/).join(" ")).toBe(titles);
    expect(row).toMatch(/ 0\.250 /);
    expect(row).toHaveLength(head?.length ?? 0);
    expect(mark).toBe("  best");
    if (width !== null) expect(`${row}${mark}`.length).toBeLessThan(width);
  });

  it("shows the loss scale where there is one", () => {
    expect(new EpochTable().row(epoch, null)).toEqual({
      note: expect.any(String),
      titles:
        "  epoch    step     loss   class     box    giou val loss     AP   AP50   AP75      lr    scale  skipped   img/s     time",
      mark: "  best",
      row: "   1/50      94   10.500   1.000   2.000   3.000   11.250  0.500  0.700      –  1.0e-4    65536        2    12.3     1:05",
    });
  });

  it.each([
    [0.5, "0.5"],
    [2 ** -24, "6.0e-8"],
  ])("shows a loss scale of %f as it is", (lossScale, shown) => {
    const { row } = new EpochTable().row({ ...epoch, amp: { ...epoch.amp, lossScale } }, null);
    expect(row.split(/ +/)).toContain(shown);
  });

  it("shows the losses of masks where there are some", () => {
    const terms = { ...epoch.terms, loss_mask_ce: 0.25, loss_mask_dice: 0.5 };
    const { titles, row } = new EpochTable().row({ ...unscaled, terms }, null);
    expect(titles).toContain("   giou    mask    dice val loss");
    expect(row).toContain("  3.000   0.250   0.500 ");
  });

  it("says once how the loss and its terms belong together, where it shows terms", () => {
    const table = new EpochTable();
    expect(table.row(epoch, 60).note).toBeNull();
    expect(table.row(epoch, null).note).toBe(
      "The loss is the weighted sum of the terms of every decoder layer and of the query selection; class, box, giou below are those of the last layer, without their weights",
    );
    expect(table.row(epoch, null).note).toBeNull();
  });

  it("says its titles once, again after thirty rows, and where the columns change", () => {
    const table = new EpochTable();
    const titled = (width: number): boolean => table.row(epoch, width).titles !== null;
    expect([titled(80), titled(80), titled(60), titled(60), titled(80)]).toEqual([true, false, true, false, true]);
    for (let row = 2; row <= 30; row++) expect(titled(80)).toBe(false);
    expect([titled(80), titled(80)]).toEqual([true, false]);
  });

  it("keeps its columns whatever the figures are", () => {
    const figure = fc.double({ min: 0, max: 1e30 });
    fc.assert(
      fc.property(figure, figure, fc.nat(9_999_999), fc.integer({ min: 1, max: 9999 }), (loss, scale, step, epochs) => {
        const amp = { precision: "16-mixed", lossScale: scale, skipped: step };
        const terms = { loss_ce: loss, loss_bbox: scale, loss_giou: Number.NaN };
        const event = { ...epoch, loss, terms, step, epochs, epoch: epochs, imagesPerSecond: loss, amp };
        const { titles, row } = new EpochTable().row(event, null);
        expect(row).toHaveLength(titles?.length ?? 0);
      }),
    );
  });

  it("marks the best epochs once something was found", () => {
    const marks = [0, 0, 0.1, null].map((ap) => new EpochTable().row({ ...epoch, best: true, ap }, null).mark);
    expect(marks).toEqual(["", "", "  best", "  best"]);
    expect(new EpochTable().row({ ...epoch, best: false }, null).mark).toBe("");
  });

  it("counts the epochs that the run has steps for", () => {
    const first = (plannedEpochs: number | null): string =>
      new EpochTable().row({ ...epoch, plannedEpochs }, null).row.slice(0, 8);
    expect(first(2)).toBe("    1/2 ");
    expect(first(null)).toBe("      1 ");
  });
});
