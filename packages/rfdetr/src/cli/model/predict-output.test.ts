import { mkdtempSync, readdirSync, rmSync } from "node:fs";
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

  it("put the crops of classes whose names differ in characters of paths into folders of their own", async () => {
    const out = join(folder, "crops");
    const options = { out, draw: false, crops: true, format: null, autoOrient: true } as const;
    const output = openPredictOutput(["a.jpg"], options);
    const classNames = ["a_b", "a/b", "c", "a:b"];
    const detections = classNames.map((className, classId) => {
      return { className, classId, score: 1, box: [0, 0, 4, 4] as [number, number, number, number] };
    });
    const picture = { data: new Uint8Array(192), width: 8, height: 8, channels: 3 as const };
    await output.add({ file: "a.jpg", width: 8, height: 8, detections }, picture, classNames);
    output.finish([], [], classNames);
    expect(readdirSync(join(out, "crops")).sort()).toEqual(["a_b", "a_b-2", "a_b-3", "c"]);
  });
});
