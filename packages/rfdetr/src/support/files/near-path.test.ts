import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { nearPath, orNearPath } from "./near-path.js";

const root = mkdtempSync(join(tmpdir(), "near-"));
afterAll(() => rmSync(root, { recursive: true }));
mkdirSync(join(root, "birds", "train"), { recursive: true });
writeFileSync(join(root, "birds", "best.safetensors"), "");
mkdirSync(join(root, "ships"));

describe("the path that was probably meant", () => {
  it.each([
    ["brids", "birds"],
    ["birds/best.safetensor", "birds/best.safetensors"],
    ["brids/train", "birds/train"],
    ["brids/trian", "birds/train"],
    ["Ships/", "ships"],
  ])("for %s is %s", (path, meant) => {
    expect(nearPath(join(root, path))).toBe(join(root, meant));
  });

  it("is none where nothing is near", () => {
    expect(nearPath(join(root, "zebra"))).toBeUndefined();
    expect(nearPath(join(root, "brids/zebra/train"))).toBeUndefined();
    expect(orNearPath(join(root, "zebra"))).toBe("");
    expect(orNearPath(join(root, "bird"))).toBe(`: did you mean ${join(root, "birds")}?`);
  });
});
