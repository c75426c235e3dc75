// A program trains on datasets and with augmentations of its own. The training thread runs from dist.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { type CustomRow, gatherDataset } from "../src/data/index.js";
import { RFDETR } from "../src/detector/detector.js";
import type { TrainEvent } from "../src/run/events/events.js";
import type { TrainOptions } from "../src/settings/settings.js";

const folder = mkdtempSync(join(tmpdir(), "own-data-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A grey picture with a red or blue square. */
function squareRow(index: number): CustomRow {
  const side = 64;
  const data = new Uint8Array(side * side * 3).fill(128);
  const [x, y, size, label] = [(index * 7) % 30, (index * 11) % 30, 16 + (index % 8), index % 3 === 0 ? 1 : 0];
  for (let v = y; v < y + size; v++) for (let u = x; u < x + size; u++) data[(v * side + u) * 3 + label * 2] = 255;
  const image = { data, width: side, height: side, channels: 3 } as const;
  return { image, boxes: [[x, y, x + size, y + size]], labels: [label === 1 ? "blue" : "red"] };
}

const train = { length: 8, get: async (index: number) => squareRow(index) };
const own = { train, valid: [12, 13, 14].map(squareRow) };
const pond = join(folder, "pond");
const data = [
  { path: own, share: 2 },
  { path: pond, share: 1 },
];
const module = join(folder, "own.mjs");
writeFileSync(
  module,
  `export const dim = async (sample, rng, { least }) => {
    const light = rng.uniform(least, 1);
    return { ...sample, data: sample.data.map((value) => value * light) };
  };`,
);
const augConfig: TrainOptions["augConfig"] = [
  { HorizontalFlip: { p: 0.5 } },
  { Custom: { module, export: "dim", p: 0.8, options: { least: 0.5 } } },
];
const settings = {
  augConfig,
  classBalancedSampling: 0.6,
  classWeights: 0.5,
  maxSteps: 4,
  batchSize: 2,
  seed: 5,
  numWorkers: 1,
  plots: false,
  tensorboard: false,
};

it("continue to the same bits, without the program's data", async () => {
  const runs = join(folder, "runs");
  await gatherDataset({ train: [20, 21, 22].map(squareRow), valid: [23].map(squareRow) }, pond);
  const begin = async (name: string) => {
    const detector = await RFDETR.create("tiny", { weights: "none" });
    return detector.train({ data, ...settings, outputDir: join(runs, name) });
  };
  const whole = await (await begin("whole")).result;
  const first = await begin("parts");
  const events: TrainEvent[] = [];
  for await (const event of first) {
    events.push(event);
    if (event.type === "step" && event.step === 2) first.stop();
  }
  expect(events).toContainEqual(expect.objectContaining({ type: "start", classes: ["blue", "red"], trainImages: 11 }));
  const told = events.flatMap((event) => (event.type === "note" ? [event.message] : []));
  expect(told).toContainEqual(`${pond}: 3 training images, 33.3 % of an epoch, each image 1.33 times`);
  expect(told).toContainEqual(
    expect.stringMatching(/^blue: 4 images, 4 boxes, 36.36 % → [\d.]+ % of the boxes, weight /),
  );
  expect((await first.result).summary.stop_reason).toBe("interrupted");
  const rest = await (await RFDETR.resume(join(runs, "parts"))).result;
  expect(rest.summary).toMatchObject({ stop_reason: "max_steps", steps: 4 });
  expect(readFileSync(rest.last as string).equals(readFileSync(whole.last as string))).toBe(true);
  const { data: bound } = JSON.parse(readFileSync(join(runs, "parts", "config.json"), "utf8"));
  expect(bound.modules).toEqual({ [module]: expect.stringMatching(/^[0-9a-f]{64}$/) });
  const { datasets } = JSON.parse(readFileSync(join(runs, "parts", "evaluation.json"), "utf8"));
  expect(datasets).toMatchObject([{ images: 3 }, { path: pond, images: 1 }]);
  await using detector = await RFDETR.load(rest.last as string);
  const [gathered] = readdirSync(runs).filter((name) => name.startsWith("gathered-"));
  expect(await detector.evaluate({ data: own })).toEqual(await detector.evaluate({ data: join(runs, gathered) }));
  // Both runs have the same data.
  expect(readdirSync(runs)).toEqual([
    expect.stringMatching(/^datasets-[0-9a-f]{12}.json$/),
    expect.stringMatching(/^gathered-[0-9a-f]{12}$/),
    "parts",
    "whole",
  ]);
});

it("are refused before anything is trained, through the result of the run", async () => {
  const detector = await RFDETR.create("tiny", { weights: "none" });
  const row = { ...squareRow(0), boxes: [[0, 0, Number.NaN, 3]] };
  const outputDir = join(folder, "refused", "run");
  await expect(detector.train({ data: { train: [row], valid: [row] }, outputDir }).result).rejects.toThrow(
    /for box 0 of row 0 of the train dataset/,
  );
  expect(readdirSync(join(folder, "refused"))).toEqual([]);
});

it("end with a sentence that names the code of the program which ended a thread", async () => {
  const callbacks = join(folder, "leave.mjs");
  writeFileSync(callbacks, 'export default { name: "leave", onStep: () => process.exit(0) };');
  const detector = await RFDETR.create("tiny", { weights: "none" });
  const more = { data: pond, ...settings, maxSteps: 2 };
  const left = detector.train({ ...more, callbacks, outputDir: join(folder, "left") });
  await expect(left.result).rejects.toThrow(`ended by itself with code 0, with the callbacks ${callbacks} and the`);
  writeFileSync(callbacks, 'export default { name: "leave", onStep: () => new Promise(() => {}) };');
  const waiting = detector.train({ ...more, callbacks, outputDir: join(folder, "waiting") });
  await expect(waiting.result).rejects.toThrow(`waits for something that never comes, with the callbacks ${callbacks}`);
  writeFileSync(callbacks, 'export default { name: "leave", onStep() { process.exitCode = 7; } };');
  await detector.train({ ...more, callbacks, outputDir: join(folder, "coded") }).result;
  const other = join(folder, "other.mjs");
  writeFileSync(other, 'export default { name: "other", onRunStart: () => new Promise(() => {}) };');
  const resumed = await RFDETR.resume(join(folder, "waiting"), { callbacks: other });
  await expect(resumed.result).rejects.toMatchObject({
    code: "ERR_CUSTOM_CODE",
    message: `The run waits for something that never comes, with the callbacks ${other} and the augmentation dim of ${module} in it`,
  });
  writeFileSync(module, "export const dim = () => process.exit(3);");
  const bare = detector.train({ ...more, outputDir: join(folder, "bare") });
  await expect(bare.result).rejects.toThrow(
    `ended by itself with code 3, with the augmentation dim of ${module} in it`,
  );
});
