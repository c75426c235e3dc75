import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { Rng } from "../../support/random.js";
import type { Sample } from "../images/geometry.js";
import {
  type AugConfig,
  augment,
  augmentWithCustom,
  checkAugConfig,
  customFunctions,
  withAbsoluteModules,
} from "./config.js";
import { hashModules } from "./custom-augmentation.js";

const module = join(mkdtempSync(join(tmpdir(), "custom-augmentation-")), "own.mjs");
writeFileSync(
  module,
  `import { runInNewContext } from "node:vm";
  let calls = 0;
  export default (sample) => sample;
  export const dim = (sample, rng, { least = 0 } = {}) => {
    const light = rng.uniform(least, 1);
    for (let i = 0; i < sample.data.length; i++) sample.data[i] *= light;
    return sample;
  };
  export const later = async (sample, rng) => {
    const labels = sample.labels.map((label) => label + rng.integer(0, 1));
    return { ...sample, labels };
  };
  export const elsewhere = (sample) => runInNewContext("Promise.resolve(sample)", { sample });
  export const thenable = (sample) => ({ then: (resolve) => resolve(sample) });
  export const larger = (sample) => ({ ...sample, width: sample.width * 2 });
  export const short = (sample) => ({ ...sample, data: new Uint8Array(3) });
  export const outside = (sample) => ({ ...sample, boxes: sample.boxes.map((c) => c + 5) });
  export const nowhere = (sample) => ({ ...sample, boxes: sample.boxes.map(() => NaN) });
  export const unequal = (sample) => ({ ...sample, labels: new Int32Array(0) });
  export const beyond = (sample) => ({ ...sample, labels: sample.labels.map((label) => label + 1) });
  export const nothing = () => {};
  export const throws = () => { throw new Error("no rain today"); };
  export const rejects = async () => { throw new Error("no snow either"); };
  export const drifting = (sample) => { sample.data[0] = ++calls; return sample; };
  export const number = 7;
  export const turned = (sample) => ({ ...sample, masks: sample.masks.map(({ height, width, counts }) => {
    counts.fill(0);
    return { height, width, counts: Uint32Array.of(0, height * width) };
  }) });
  export const maskless = ({ masks, ...sample }) => sample;
  export const torn = (sample) => ({ ...sample, masks: [{ ...sample.masks[0], counts: Uint32Array.of(5) }] });
  `,
);
const own = (name: string, more: object = {}): AugConfig => ({ Custom: { module, export: name, ...more } });
const sample: Sample = {
  data: Uint8Array.from({ length: 8 * 6 * 3 }, (_, i) => i),
  width: 8,
  height: 6,
  boxes: Float32Array.of(1, 1, 6, 5),
  labels: Int32Array.of(2),
};

describe("a custom augmentation", () => {
  it("is a function of a module, with options, a seeded generator and a copy of the image", async () => {
    const config = [
      { HorizontalFlip: { p: 0.5 } },
      ...[own("dim", { options: { least: 0.2 } }), own("later")],
    ] as AugConfig;
    checkAugConfig(config);
    const before = structuredClone(sample);
    const made = await augmentWithCustom(sample, config, new Rng(7));
    expect(made).not.toEqual(sample);
    expect(await augmentWithCustom(sample, config, new Rng(7))).toEqual(made);
    expect(await augmentWithCustom(sample, config, new Rng(8))).not.toEqual(made);
    expect(sample).toEqual(before);
    // The first call of a thread is made twice, and draws once.
    const [first, second] = [new Rng(1), new Rng(1)];
    for (const rng of [first, second]) await augmentWithCustom(sample, own("default"), rng);
    expect(first.state()).toEqual(second.state());
  });

  it.each(["later", "elsewhere", "thenable"])("may promise its image: %s", async (name) => {
    expect((await augmentWithCustom(sample, own(name), new Rng(1))).width).toBe(8);
  });

  it("is found in containers, by path or URL, and named by an absolute path and the hash of its module", () => {
    const { href } = pathToFileURL(module);
    const config = { OneOf: { transforms: [{ Custom: { module: href } }, own("dim")] } } as AugConfig;
    checkAugConfig(config);
    const absolute = withAbsoluteModules(config);
    expect(absolute).toEqual({ OneOf: { transforms: [{ Custom: { module } }, own("dim")] } });
    expect(customFunctions(absolute)).toEqual([
      { module, export: "default" },
      { module, export: "dim" },
    ]);
    expect(hashModules(customFunctions(absolute))).toEqual({ [module]: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(() => hashModules([{ module: "/no/such.mjs", export: "dim" }])).toThrow(
      "Expected a module of augmentations but /no/such.mjs does not exist",
    );
    const compiled = module.replace("own.mjs", "dim.js");
    const source = module.replace("own.mjs", "dim.ts");
    writeFileSync(source, "");
    expect(() => hashModules([{ module: compiled, export: "dim" }])).toThrow(
      `Expected a module of augmentations but ${compiled} does not exist: compile ${source}`,
    );
    expect(() => augment(sample, config, new Rng(1))).toThrow("but aug_config has Custom");
    expect(() => checkAugConfig({ Custom: { modul: "x" } })).toThrow(/for Custom/);
    expect(customFunctions({ HorizontalFlip: { p: 1 } })).toEqual([]);
  });

  it.each([
    ["larger", "Expected the size that it was given, 8×6, from the augmentation larger of"],
    ["short", "Expected 144 bytes as data from"],
    ["outside", "Expected boxes inside of 8×6 pixels, none of them empty, from the augmentation outside of"],
    ["nowhere", 'but received ["NaN"'],
    ["unequal", "but received 4 numbers and 0 labels"],
    ["nothing", "Expected { data, width, height, boxes, labels } from"],
    ["throws", `The augmentation throws of ${module} failed: no rain today`],
    ["rejects", `The augmentation rejects of ${module} failed: no snow either`],
    ["drifting", "to give the same image for the same image and generator, but two calls differ"],
    ["number", `Expected a function number in ${module}`],
    ["missing", `Expected a function missing in ${module}`],
  ])("is refused where %s", async (name, message) => {
    await expect(augmentWithCustom(sample, own(name), new Rng(1))).rejects.toMatchObject({
      code: "ERR_CUSTOM_CODE",
      message: expect.stringContaining(message),
    });
  });

  it("is refused for a label that is no class of the dataset, with its file and what it returned", async () => {
    const config = { Sequential: { transforms: [own("beyond")] } } as AugConfig;
    const labels = async (classes?: number) => (await augmentWithCustom(sample, config, new Rng(1), classes)).labels;
    await expect(labels(3)).rejects.toThrow(
      `Expected labels of 0 or more and below 3, the number of classes, from the augmentation beyond of ${module} but received 3`,
    );
    expect([...(await labels(4)), ...(await labels())]).toEqual([3, 3]);
  });

  it("is refused where its module does not load", async () => {
    const config = { Custom: { module: "/no/such.mjs" } };
    await expect(augmentWithCustom(sample, config, new Rng(1))).rejects.toThrow(
      /^Expected a module with the augmentation default but \/no\/such.mjs does not load/,
    );
  });
});

describe("a custom augmentation of data with masks", () => {
  const mask = { height: 6, width: 8, counts: Uint32Array.of(10, 4, 34) };
  const masked: Sample = { ...sample, masks: [mask] };
  const run = (name: string) => augmentWithCustom(masked, own(name), new Rng(1), 3);

  it("gets copies of the masks, and may change them", async () => {
    expect((await run("turned")).masks).toEqual([{ ...mask, counts: Uint32Array.of(0, 48) }]);
    expect(mask.counts).toEqual(Uint32Array.of(10, 4, 34));
    expect((await run("default")).masks).toEqual([mask]);
  });

  it("must return a mask that fills the image for each label", async () => {
    await expect(run("maskless")).rejects.toThrow(
      "Expected masks of 8×6 pixels, one for each of 1 labels, from the augmentation maskless of",
    );
    await expect(run("torn")).rejects.toThrow(/but received masks\[0\]:/);
  });
});
