import { describe, expect, it } from "vitest";
import { ModelConfigError } from "../support/errors.js";
import { resolveModel, variantOfClass, variants } from "./variants.js";

describe("resolveModel", () => {
  it.each(variants)("%s is valid without overrides", (variant) => {
    expect(
      resolveModel(variant).resolution % (resolveModel(variant).patchSize * resolveModel(variant).numWindows),
    ).toBe(0);
  });

  it("changes the grid of positional embeddings with the resolution", () => {
    expect(resolveModel("nano", { resolution: 448 }).positionalEncodingSize).toBe(28);
    expect(resolveModel("nano", { resolution: 448, positionalEncodingSize: 24 }).positionalEncodingSize).toBe(24);
  });

  it.each(["base", "large-deprecated"])("keeps DINOv2's 37×37 positional embeddings in %s", (variant) => {
    expect(resolveModel(variant, { resolution: 448 }).positionalEncodingSize).toBe(37);
  });

  it("takes a rectangle, and keeps the variant's grid, which is interpolated to its patches", () => {
    const { resolution, positionalEncodingSize } = resolveModel("nano", { resolution: [384, 640] });
    expect(resolution).toEqual([384, 640]);
    expect(positionalEncodingSize).toBe(24);
    expect(() => resolveModel("nano", { resolution: [384, 650] })).toThrow(/received 650: use 640 or 672/);
  });

  it("ignores overrides that are undefined", () => {
    expect(resolveModel("nano", { resolution: undefined, numQueries: undefined })).toEqual(resolveModel("nano"));
  });

  it("gives the nearest valid resolutions", () => {
    expect(() => resolveModel("nano", { resolution: 400 })).toThrow(/divisible by 32 .* received 400: use 384 or 416/);
    expect(() => resolveModel("base", { resolution: 0 })).toThrow(ModelConfigError);
  });

  it("suggests the variant that was meant", () => {
    expect(() => resolveModel("nanno")).toThrow(/received nanno: did you mean nano\?/);
    expect(() => resolveModel("yolo")).toThrow(/Expected one of nano, small.* received yolo$/);
  });

  it("rejects counts that are not positive integers", () => {
    expect(() => resolveModel("nano", { numQueries: 0 })).toThrow(
      "Expected positive integer for numQueries but received 0 of type number",
    );
  });
});

describe("variantOfClass", () => {
  it.each([
    ["RFDETRNano", "nano"],
    ["RFDETRLargeDeprecated", "large-deprecated"],
    ["RFDETR2XLarge", "2xlarge"],
    ["RFDETRSegPreview", "seg-preview"],
    ["RFDETRSegNano", "seg-nano"],
    ["RFDETRSegXLarge", "seg-xlarge"],
    ["RFDETRSeg2XLarge", "seg-2xlarge"],
  ])("%s is %s", (name, variant) => {
    expect(variantOfClass(name)).toBe(variant);
    expect(variants).toContain(variant);
  });
});
