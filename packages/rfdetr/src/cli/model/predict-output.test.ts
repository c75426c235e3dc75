import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { openPredictOutput } from "./predict-output.js";

const folder = mkdtempSync(join(tmpdir(), "predict-output-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("the files of a prediction", () => {
  it("are planned for more images than a call has arguments", () => {
    const files = Array.from({ length: 130_000 }, (_, i) => `images/${i}.jpg`);
    const options = { out: join(folder, "out"), draw: true, crops: false, format: null, autoOrient: true } as const;
    expect(openPredictOutput(files, options).path).toBe(join(folder, "out"));
  });
});
