// Every setting of the Python package, by the list of tools/reference/settings_goldens.py, is either ours too or
// refused with a reason.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { resolveModel } from "../model/variants.js";
import { camelCase } from "../support/names.js";
import { refused } from "./refused-settings.js";
import { resolveSettings } from "./resolve.js";
import { settings } from "./settings.js";

interface Field {
  required?: true;
  default?: unknown;
  choices?: unknown[];
}
type Fields = Record<string, Field>;
const golden = JSON.parse(readFileSync(new URL("./fixtures/package-settings.json", import.meta.url), "utf8")) as {
  train: Fields;
  segmentation: Fields;
  keypoint: Fields;
  model: Fields;
  variants: Record<string, Record<string, unknown>>;
};
const fields: [string, Field][] = [golden.train, golden.segmentation, golden.keypoint, golden.model].flatMap((f) =>
  Object.entries(f),
);
const table: Record<string, { fallback: unknown; ours?: boolean; differs?: string; also?: string; about: string }> =
  settings;
const also = new Map(
  Object.entries(table).flatMap(([name, { also: other }]) => (other === undefined ? [] : [[other, name] as const])),
);
/** Settings that the package nests in `lr_scheduler_kwargs`. */
const nested = ["lr_drop", "min_factor"];
const base = { datasetDir: "birds" };

describe("settings of the Python package", () => {
  it("are all known, and each is either taken or refused", () => {
    for (const [name] of fields) {
      const homes = [name in settings, name in refused, also.has(name), name === "lr_scheduler_kwargs"].filter(Boolean);
      expect([name, homes.length]).toEqual([name, 1]);
    }
  });

  it("are told from ours", () => {
    const known = new Set(fields.map(([name]) => name));
    for (const [name, { ours }] of Object.entries(table))
      expect([name, known.has(name) || nested.includes(name)]).toEqual([name, !ours]);
    for (const name of Object.keys(refused)) expect([name, known.has(name)]).toEqual([name, true]);
  });

  it("have the package's default, or say how they differ", () => {
    for (const [name, field] of fields) {
      if (!(name in table)) continue;
      const { fallback, differs, about } = table[name];
      if (field.required || about.includes("null takes the variant's")) continue;
      if (differs === undefined) expect([name, fallback]).toEqual([name, field.default]);
    }
  });

  it("pass with the package's default", () => {
    for (const [name, field] of fields)
      if (!field.required && name !== "num_classes")
        expect(() => resolveSettings({ ...base, [name]: field.default }), name).not.toThrow();
  });

  it("take each word that the package takes, or refuse it with the reason", () => {
    for (const [name, { choices = [] }] of fields)
      for (const choice of choices)
        try {
          resolveSettings({ ...base, [name]: choice });
        } catch (error) {
          expect((error as Error).message).toMatch(
            new RegExp(`^The setting ${name} = ${JSON.stringify(choice)} is not supported.*: .{20}`),
          );
        }
  });

  it.each(Object.entries(golden.variants))("pass with all sizes of %s, which are ours too", (variant, sizes) => {
    const { num_classes, ...rest } = sizes;
    expect(resolveSettings({ ...base, model: variant, ...rest }).weights).toBe(sizes.pretrain_weights);
    const ours = resolveModel(variant) as unknown as Record<string, unknown>;
    for (const [name, size] of Object.entries({ ...rest, num_classes }))
      if (camelCase(name) in ours && name !== "encoder") expect([name, ours[camelCase(name)]]).toEqual([name, size]);
  });

  it("that belong to a variant are refused elsewhere", () => {
    expect(() => resolveSettings({ ...base, hidden_dim: 384 })).toThrow(
      "The setting hidden_dim = 384 is not supported, only 256 here: it belongs to the variant: choose another model",
    );
    expect(() => resolveSettings({ ...base, model: "large-deprecated", hidden_dim: 384 })).not.toThrow();
    expect(resolveSettings({ ...base, resolution: 512, positional_encoding_size: 32 }).resolution).toBe(512);
    expect(() => resolveSettings({ ...base, resolution: 512, positional_encoding_size: 24 })).toThrow(
      "follows from model and resolution",
    );
  });

  it("of masks are taken for models that predict masks, and refused for others", () => {
    const seg = { ...base, model: "seg-nano" };
    expect(
      resolveSettings({ ...seg, segmentation_head: true, mask_downsample_ratio: 8, maskCeLossCoef: 2 }),
    ).toMatchObject({ maskDownsampleRatio: 8, maskCeLossCoef: 2, maskDiceLossCoef: 5, maskPointSampleRatio: 16 });
    expect(() => resolveSettings({ ...base, segmentation_head: true })).toThrow(
      "The setting segmentation_head = true is not supported, only false here: models that predict masks have names of their own: seg-nano",
    );
    expect(() => resolveSettings({ ...seg, segmentation_head: false })).toThrow("only true here");
    for (const [name, value] of Object.entries({ mask_dice_loss_coef: 1, mask_downsample_ratio: 2 }))
      expect(() => resolveSettings({ ...base, model: "small", [name]: value })).toThrow(
        `Expected a model with a segmentation head for ${name} = ${value} but received small: leave it out, or take one of seg-preview, seg-nano`,
      );
  });

  it("name model and weights", () => {
    expect(resolveSettings({ ...base, model_name: "RFDETRLargeDeprecated", pretrain_weights: "a.pth" })).toMatchObject({
      model: "large-deprecated",
      weights: "a.pth",
    });
    expect(resolveSettings({ ...base, model: "small", model_name: null }).model).toBe("small");
  });
});
