// A run that the library continues.
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { synthesize } from "../src/data/synth/synth.js";
import { RFDETR } from "../src/detector/detector.js";

const folder = mkdtempSync(join(tmpdir(), "continue-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("RFDETR.resume", () => {
  it("continues a run that was stopped, trains an ended one on, and names what cannot change", async () => {
    const [data, outputDir] = [join(folder, "data"), join(folder, "run")];
    const report = (): string => readFileSync(join(outputDir, "report.html"), "utf8");
    await synthesize(data, { images: 6, size: 64, classes: 2, seed: 1 });
    const detector = await RFDETR.create("tiny");
    const settings = { epochs: 1, batchSize: 2, seed: 1, resolution: 64, multiScale: "off", numWorkers: 0 } as const;
    const first = detector.train({ data, outputDir, ...settings, precision: "32-true", monitorInterval: 0 });
    for await (const event of first) if (event.type === "step" && event.step === 2) first.stop();
    expect((await first.result).summary).toMatchObject({ stop_reason: "interrupted" });
    expect(report()).toContain("The run was stopped after step 2.");

    const second = await (await RFDETR.resume(outputDir)).result;
    expect(second.summary).toMatchObject({ stop_reason: "finished", epochs: 1, steps: 5 });
    const longer = await (await RFDETR.resume(outputDir, { epochs: 2 })).result;
    expect(longer.summary).toMatchObject({ stop_reason: "finished", epochs: 2, steps: 10 });
    expect(report()).toContain("for 2 epochs in 32-true");

    await expect(RFDETR.resume(join(folder, "data"))).rejects.toThrow("Expected the folder of a run to continue");
    await expect(RFDETR.resume(outputDir, { seed: 2 } as object)).rejects.toThrow(
      "for RFDETR.resume but received seed",
    );
  });

  it("fails where the folder of the run is moved before its report", async () => {
    const [data, outputDir] = [join(folder, "data-moved"), join(folder, "moved")];
    await synthesize(data, { images: 6, size: 64, classes: 2, seed: 1 });
    const settings = { epochs: 1, batchSize: 2, seed: 1, resolution: 64, multiScale: "off", numWorkers: 0 } as const;
    const detector = await RFDETR.create("tiny");
    const run = detector.train({ data, outputDir, ...settings, precision: "32-true", monitorInterval: 0 });
    const move = async (): Promise<void> => {
      for await (const event of run) if (event.type === "done") renameSync(outputDir, `${outputDir}-away`);
    };
    await expect(move()).rejects.toThrow(`${outputDir} is missing: it was moved or removed during the run`);
    expect(existsSync(outputDir)).toBe(false);
  });
});
