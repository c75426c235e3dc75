import { describe, expect, it } from "vitest";
import { variants } from "../../model/variants.js";
import { compare } from "./against.js";
import { comparedModels, type Peer, type Printed } from "./programs.js";

const step = (median: number, mebibytes: number): Printed => ({
  seconds: { step: { median } },
  peak_rss_bytes: mebibytes * 2 ** 20,
});
const infer = (forward: number, predict?: number): Printed => ({
  milliseconds: { forward: { median: forward }, ...(predict === undefined ? {} : { predict: { median: predict } }) },
  peak_rss_bytes: 1,
});
const measured = (busy: boolean, printed: Partial<Record<"rfdetr" | Peer, Printed[]>>) => ({
  precision: "32-true" as const,
  busy,
  printed: new Map(Object.entries(printed) as ["rfdetr" | Peer, Printed[]][]),
});

it("has the models of the Python package, with masks and without", () => {
  const others = ["base", "large-deprecated", "xlarge", "2xlarge", "demo", "tiny", "seg-demo", "seg-tiny"];
  expect(variants.filter((name) => !others.includes(name)).sort()).toEqual([...comparedModels].sort());
});

describe("compare", () => {
  it("takes medians over the rounds, and the span of the rounds' own ratios", () => {
    const [row] = compare("training step", [
      measured(false, {
        rfdetr: [step(2, 10), step(1, 30), step(1, 20)],
        python: [step(3, 100), step(2, 300), step(4, 200)],
      }),
    ]);
    const [ours, python] = row.programs;
    expect(ours).toMatchObject({ program: "rfdetr", seconds: 1, ratio: null });
    expect(python).toMatchObject({ seconds: 3, peak_rss_bytes: 200 * 2 ** 20, rounds: [3, 2, 4] });
    expect(python.ratio).toEqual({ median: 3, min: 1.5, max: 4 });
  });

  it("reads inference in seconds, and leaves out programs that have no such quantity", () => {
    const list = [measured(false, { rfdetr: [infer(40, 45)], openvino: [infer(60)], python: [infer(80, 90)] })];
    const [forward] = compare("forward", list);
    expect(forward.programs.map(({ program, seconds }) => [program, seconds])).toEqual([
      ["rfdetr", 0.04],
      ["openvino", 0.06],
      ["python", 0.08],
    ]);
    const [predict] = compare("predict, 640 × 480", list);
    expect(predict.programs.map(({ program }) => program)).toEqual(["rfdetr", "python"]);
    expect(predict.programs[1].ratio?.median).toBe(2);
  });

  it("gives the slowing by a busy process for each program", () => {
    const [, busy] = compare("forward", [
      measured(false, { rfdetr: [infer(40)], openvino: [infer(60)] }),
      measured(true, { rfdetr: [infer(60)], openvino: [infer(120)] }),
    ]);
    expect(busy.busy).toBe(true);
    expect(busy.programs.map(({ slowing }) => slowing)).toEqual([1.5, 2]);
  });

  it("keeps the reason where a precision does not run", () => {
    const reason = "OpenVINO computes f32 on this CPU";
    const [row] = compare("forward", [
      measured(false, { rfdetr: [infer(40)], openvino: [{ unavailable: reason, peak_rss_bytes: 1 }] }),
    ]);
    expect(row.programs[1]).toMatchObject({ seconds: null, ratio: null, unavailable: reason });
  });
});
