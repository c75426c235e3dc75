// An exported file in Node: onnxruntime, no libtorch.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RFDETR } from "../src/index.js";
import { type ExportMetadata, metadataEntries } from "../src/onnx/metadata.js";
import { writeSmallOnnx } from "../src/testing/onnx-file.js";

const folder = mkdtempSync(join(tmpdir(), "exported-"));
const entry = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const metadata: ExportMetadata = {
  variant: "small-test",
  resolution: [32, 64],
  classNames: ["red", "blue"],
  preprocessing: { mean: [0, 0, 0], std: [1, 1, 1], resize: "bilinear", antialias: true, layout: "NCHW" },
  numSelect: 10,
  masks: null,
  precision: "fp32",
  trainingPrecision: "bf16-mixed",
  thresholds: null,
  AP50: null,
  version: "0.1.0",
  licence: "Apache-2.0",
  proof: null,
  goldens: null,
};
/** Cells of 32 px: two, side by side. What is red or blue has the logit 8, what is black 0; the third row has less. */
const shape = {
  size: [32, 64],
  cell: 32,
  rows: [
    [8, 0, 0],
    [0, 0, 8],
    [-8, -8, -8],
  ],
} as const;
const file = join(folder, "ours.onnx");
const foreign = join(folder, "foreign.onnx");
const picture = join(folder, "data", "valid", "half.png");

/** Runs this program in a process that would fail if it loaded libtorch. */
function run(code: string, ...args: string[]) {
  const script = join(folder, "script.mjs");
  writeFileSync(script, code);
  const env = { ...process.env, RFDETR_ADDON: "/nowhere/at/all.node", LIBTORCH: "/nowhere" };
  return spawnSync(process.execPath, [script, ...args], { cwd: folder, encoding: "utf8", env });
}
const command = (...args: string[]) =>
  run(
    `import { main } from ${JSON.stringify(entry)};\nprocess.exitCode = await main(process.argv.slice(2));\n`,
    ...args,
  );

beforeAll(async () => {
  writeSmallOnnx(file, { ...shape, metadata: metadataEntries(metadata) });
  writeSmallOnnx(foreign, shape);
  mkdirSync(join(folder, "data", "valid"), { recursive: true });
  // The left half is red, the right one black.
  const left = { create: { width: 50, height: 40, channels: 3 as const, background: "#f00" } };
  await sharp({ create: { width: 100, height: 40, channels: 3, background: "#000" } })
    .composite([{ input: left, left: 0, top: 0 }])
    .png()
    .toFile(picture);
  const categories = ["red", "blue"].map((name, id) => ({ id, name, supercategory: "none" }));
  const images = [{ id: 1, file_name: "half.png", width: 100, height: 40 }];
  const annotations = [{ id: 1, image_id: 1, category_id: 0, bbox: [0, 0, 50, 40], area: 2000, iscrowd: 0 }];
  writeFileSync(
    join(folder, "data", "valid", "_annotations.coco.json"),
    JSON.stringify({ images, annotations, categories }),
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("RFDETR.load of an exported file", () => {
  it("knows what the file says of itself, and predicts", async () => {
    await using detector = await RFDETR.load(file);
    expect(detector.model).toBe("small-test");
    expect(detector.classNames).toEqual(["red", "blue"]);
    expect(detector.resolution).toEqual([32, 64]);
    expect((await detector.load()).precision).toBe("fp32");
    const [best, ...others] = await detector.predict(picture, { threshold: 0.1 });
    // At the edge, the resize mixes the two halves.
    expect(best).toMatchObject({ box: [0, 0, 50, 40], classId: 0, className: "red", score: expect.closeTo(1, 2) });
    expect(others.every(({ score }) => score <= best.score)).toBe(true);
    const many = await detector.predict([picture, picture, picture], { batch: 2, threshold: 0.9 });
    expect(many.map((found) => found.length)).toEqual([1, 1, 1]);
  });

  it("numbers the classes of a file that does not name them, unless the caller does", async () => {
    await using numbered = await RFDETR.load(foreign);
    expect(numbered.classNames).toEqual(["class 0", "class 1"]);
    await using named = await RFDETR.load(foreign, { classNames: ["rot", "blau"] });
    expect(named.classNames).toEqual(["rot", "blau"]);
  });

  it("scores a dataset", async () => {
    await using detector = await RFDETR.load(file);
    const { AP, images } = await detector.evaluate({ data: join(folder, "data") });
    expect(AP).toBeCloseTo(1, 12);
    expect(images).toBe(1);
  });

  it("has no telemetry, nor the log of it that onnxruntime leaves in the folder for temporary files", async () => {
    await using detector = await RFDETR.load(file);
    expect(detector.classNames).toEqual(["red", "blue"]);
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith(`mat-debug-${process.pid}`))).toEqual([]);
  });

  it("says what an exported file cannot do", async () => {
    await using detector = await RFDETR.load(file);
    expect(() => detector.train({ data: "anywhere" })).toThrow(/can be trained but .*ours\.onnx is an exported file/);
    await expect(RFDETR.create("nano", { weights: file })).rejects.toThrow("load it with RFDETR.load");
    await expect(RFDETR.load(file, { precision: "bf16-mixed" })).rejects.toThrow(/has its own, fp32, from its export/);
    const emulated = RFDETR.load(file, { numberFormat: "fp8" });
    await expect(emulated).rejects.toThrow("received fp8: an exported file computes as it was exported");
    await expect(RFDETR.load(file, { device: "cuda:0" })).rejects.toThrow("exported files run on the CPU");
  });

  it("says why a file cannot be used", async () => {
    const broken = join(folder, "broken.onnx");
    writeFileSync(broken, "<!doctype html>");
    await expect(RFDETR.load(broken)).rejects.toThrow(/exported detector in .*broken\.onnx but it cannot be used/);
    const entries = { ...metadataEntries(metadata), "rfdetr.resolution": "[64,64]" };
    const other = writeSmallOnnx(join(folder, "other.onnx"), { ...shape, metadata: entries });
    await expect(RFDETR.load(other)).rejects.toThrow("images of 64 × 64 as in the metadata but the input has 32 × 64");
    const late = writeSmallOnnx(join(folder, "late.onnx"), { ...shape, opset: 99 });
    await expect(RFDETR.load(late)).rejects.toThrow(
      /late\.onnx but it cannot be used: onnxruntime cannot read its opset, 99: the newest that it knows is \d+$/,
    );
    const newer = writeSmallOnnx(join(folder, "newer.onnx"), { ...shape, metadata: { "rfdetr.format": "9" } });
    await expect(RFDETR.load(newer)).rejects.toThrow("a later version wrote the file");
  });
});

describe("a process that runs exported files only", () => {
  it("never loads the addon: the library", () => {
    const library = fileURLToPath(new URL("../dist/index.js", import.meta.url));
    const { stdout, stderr } = run(
      `import { RFDETR } from ${JSON.stringify(library)};
      const detector = await RFDETR.load(process.argv[2]);
      console.log(JSON.stringify(await detector.predict(process.argv[3], { threshold: 0.9 })));
      await detector.dispose();`,
      ...[file, picture],
    );
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toEqual([expect.objectContaining({ className: "red", box: [0, 0, 50, 40] })]);
  });

  it("never loads the addon: rfdetr predict", () => {
    const { status, stdout, stderr } = command("predict", picture, "--weights", file, "--threshold", "0.9", "--json");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(JSON.parse(stdout).images[0]).toMatchObject({
      width: 100,
      detections: [{ class_name: "red", box: [0, 0, 50, 40] }],
    });
  });

  it("never loads the addon: rfdetr val, also with a file that does not name its classes", () => {
    const { status, stdout } = command("val", "--weights", file, "--data", "data", "--json");
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ AP: expect.closeTo(1, 12), images: 1, precision: "fp32" });
    const unnamed = command("val", "--weights", foreign, "--data", "data", "--plain");
    expect(unnamed.stderr).toContain(
      "foreign.onnx does not name its classes: they are taken as those of data, in their order",
    );
    expect(unnamed.status).toBe(0);
  });

  it("says that an exported file has a precision of its own", () => {
    const { status, stderr } = command("predict", picture, "--weights", file, "--precision", "16-mixed");
    expect(status).toBe(2);
    expect(stderr).toContain("has its own, fp32, from its export");
  });

  it.each([
    ["predict", picture],
    ["val", "--data", join(folder, "data")],
  ])("says that no number format can be emulated in an exported file: rfdetr %s", (...args) => {
    const { status, stderr } = command(...args, "--weights", file, "--number-format", "mxfp8");
    expect(status).toBe(2);
    expect(stderr).toContain("received mxfp8: an exported file computes as it was exported");
    expect(command(...args, "--weights", file, "--number-format", "none").status).toBe(0);
  });
});
