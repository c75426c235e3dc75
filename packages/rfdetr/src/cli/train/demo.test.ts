import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { manualSeed, scope } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { sharp } from "../../data/images/sharp.js";
import { RFDETRModel } from "../../model/rfdetr.js";
import { resolveModel } from "../../model/variants.js";
import { saveWeights } from "../../weights/weights.js";
import { draw, timeText } from "./demo.js";

describe("the time of a demo", () => {
  it("is that of the training too where this command did only the rest of it", () => {
    expect(timeText(16, 123)).toBe("2:03 of training in all, 0:16 since it was resumed");
    expect(timeText(140, 123)).toBe("2:20 in all");
  });
});

describe("the pictures of a demo", () => {
  it("have what is found at the threshold that the training recorded, else at the usual one", async () => {
    const root = mkdtempSync(join(tmpdir(), "demo-"));
    mkdirSync(join(root, "valid"));
    const picture = sharp({ create: { width: 96, height: 96, channels: 3, background: "#c84" } });
    await picture.png().toFile(join(root, "valid", "a.png"));
    const config = resolveModel("tiny", { numClasses: 2 });
    manualSeed(1);
    const tensors = scope(() => new RFDETRModel(config)).stateDict();
    const found = async (name: string, extra: Record<string, string>) => {
      const weights = join(root, `${name}.safetensors`);
      saveWeights(weights, tensors, { classNames: ["cat", "dog"], config, extra });
      const { objects, threshold } = await draw(weights, join(root, "valid"), join(root, name));
      return { some: objects > 0, threshold };
    };
    expect(await found("recorded", { thresholds: '{"*":0.001,"cat":0.9}' })).toEqual({ some: true, threshold: 0.001 });
    expect(await found("none", {})).toEqual({ some: false, threshold: null });
    rmSync(root, { recursive: true });
  });
});
