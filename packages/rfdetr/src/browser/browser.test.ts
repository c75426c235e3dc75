// The browser module in Chromium against `predict` in Node, on the same files and weights.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { manualSeed, noGrad, ops, randn, scope } from "@rfdetr/torch";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sharp } from "../data/images/sharp.js";
import type { Mask } from "../masks/mask.js";
import { maskIou, measureMask } from "../masks/overlap.js";
import { RFDETRModel } from "../model/rfdetr.js";
import type { Detection } from "../model/types.js";
import { resolveModel } from "../model/variants.js";
import { type ServedPage, serveFolders } from "../onnx/serve-page.js";
import { decode } from "../pictures/picture.js";
import { Predictor } from "../predict/predict.js";
import { OnnxPredictor } from "../predict/worker/onnx-predictor.js";
import { Rng } from "../support/random.js";
import { exportForTest } from "../testing/exported-detector.js";
import { chromiumPath, startChromium, withoutChromium } from "../testing/pages/chromium.js";
import type { LoadReport } from "./choose-backend.js";

const dist = fileURLToPath(new URL("../../dist/", import.meta.url));
const ort = dirname(fileURLToPath(import.meta.resolve("onnxruntime-web/ort-wasm-simd-threaded.wasm")));
/** How far the browser may be from Node, in pixels of the image and in scores. */
const tolerance = { box: 0.01, score: 1e-5 };

const folder = mkdtempSync(join(tmpdir(), "browser-"));
const file = join(folder, "tiny.onnx");
const images = ["plain.png", "photo.jpg", "turned.jpg", "grey.png", "wide-gamut.png"];
let predictor: Predictor;
let exported: OnnxPredictor;

beforeAll(async () => {
  manualSeed(4);
  const config = resolveModel("seg-tiny", { numClasses: 2 });
  const model = new RFDETRModel(config);
  // The box heads of a new model give zeros.
  noGrad(() =>
    scope(() => {
      for (const [key, tensor] of model.stateDict())
        if (key.includes("bbox_embed")) ops.add_(tensor, randn(tensor.shape).mul(0.03));
    }),
  );
  predictor = new Predictor(model, { classNames: ["cat", "dog"], precision: "32-true", device: "cpu" });
  exportForTest(file, model, ["cat", "dog"]);
  exported = await OnnxPredictor.load({ weights: file, precision: "auto", device: "auto" });
  const rng = new Rng("photo", 1);
  const pixels = Uint8Array.from({ length: 150 * 110 * 3 }, (_, i) => (i % 450) / 3 + rng.integer(0, 90));
  const photo = () => sharp(pixels, { raw: { width: 150, height: 110, channels: 3 } }).blur(2);
  await photo().png().toFile(join(folder, "plain.png"));
  await photo().jpeg({ quality: 90 }).toFile(join(folder, "photo.jpg"));
  await photo().jpeg().withMetadata({ orientation: 6 }).toFile(join(folder, "turned.jpg"));
  await photo().greyscale().png().toFile(join(folder, "grey.png"));
  await photo().withIccProfile("p3").png().toFile(join(folder, "wide-gamut.png"));
});
afterAll(async () => {
  await exported.dispose();
  predictor.dispose();
  rmSync(folder, { recursive: true });
});

/** The largest differences of boxes and scores, detection by detection; the masks are the same. */
function difference(found: readonly Detection[], expected: readonly Detection[]): { box: number; score: number } {
  for (const [i, { mask }] of found.entries()) {
    const theirs = { ...(mask as Mask), counts: Uint32Array.from((mask as Mask).counts) };
    const [a, b] = [theirs, expected[i].mask as Mask].map(measureMask);
    expect([a.mask.height, a.mask.width]).toEqual([b.mask.height, b.mask.width]);
    // Where both are empty, there is nothing to overlap.
    if (a.area + b.area > 0) expect(maskIou(a, b)).toBeGreaterThan(0.999);
  }
  expect(found.map(({ className }) => className)).toEqual(expected.map(({ className }) => className));
  const worst = { box: 0, score: 0 };
  for (const [i, { box, score }] of found.entries()) {
    worst.score = Math.max(worst.score, Math.abs(score - expected[i].score));
    for (const [side, value] of box.entries()) worst.box = Math.max(worst.box, Math.abs(value - expected[i].box[side]));
  }
  return worst;
}

describe("an exported detector in Node", () => {
  it.each(images)("finds in %s what libtorch finds", async (image) => {
    const pixels = await decode(join(folder, image));
    const expected = predictor.detectPixels(pixels, { threshold: 0.005 });
    expect(expected.detections.length).toBeGreaterThan(20);
    const [found] = await exported.detectSquares([exported.toSquare(pixels, {})], 0.005);
    const { box, score } = difference(found.detections, expected.detections);
    expect(box).toBeLessThan(tolerance.box);
    expect(score).toBeLessThan(tolerance.score);
  });

  it("sees the same bytes", async () => {
    const pixels = await decode(join(folder, "photo.jpg"));
    expect(exported.toSquare(pixels, {}).pixels).toEqual(predictor.toSquare(pixels, {}).pixels);
  });
});

describe.skipIf(chromiumPath() === null)(`an exported detector in Chromium${withoutChromium}`, () => {
  let server: ServedPage;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    server = await serveFolders({ "/dist/": dist, "/ort/": ort, "/": folder }, { port: 0 });
    mkdirSync(join(folder, "page"));
    writeFileSync(join(folder, "page", "index.html"), "<!doctype html><title>test</title><canvas></canvas>");
    browser = await startChromium();
    page = await browser.newPage();
    await page.goto(`${server.url}page/`);
    await page.evaluate(
      `import("/dist/browser/index.js").then(async ({ RFDETR }) => {
        globalThis.detector = await RFDETR.load("/tiny.onnx", { runtimeFolder: "/ort/" });
      })`,
    );
  });
  afterAll(async () => {
    await browser.close();
    await server.close();
  });

  /** Detects in the page; \`expression\` makes the image of \`blob\`. */
  const detect = (image: string, expression: string): Promise<Detection[]> =>
    page.evaluate(
      `(async () => {
        const blob = await (await fetch("/${image}")).blob();
        const found = await detector.predict(await (${expression})(blob), { threshold: 0.01 });
        return found.map((each) => ({ ...each, mask: { ...each.mask, counts: [...each.mask.counts] } }));
      })()`,
    );

  it("runs in WebAssembly with threads where there is no GPU, checked by its goldens", async () => {
    const report = await page.evaluate<LoadReport>("detector.report");
    expect(report).toMatchObject({ backend: "wasm", form: "file", precision: "fp32", error: { holds: true } });
    expect(report.threads).toBeGreaterThan(1);
    expect(report.attempts[0]).toMatchObject({ backend: "webgpu", reason: expect.stringMatching(/GPU/) });
    console.log(`goldens in Chromium: boxes ${report.error?.boxPx} px, scores ${report.error?.score} off`);
  });

  it.each(images)("finds in the file %s what predict finds", async (image) => {
    const expected = predictor.detectPixels(await decode(join(folder, image)), { threshold: 0.01 });
    const worst = difference(await detect(image, "async (blob) => blob"), expected.detections);
    console.log(`${image} in Chromium: boxes ${worst.box} px, scores ${worst.score} off`);
    expect(worst.box).toBeLessThan(tolerance.box);
    expect(worst.score).toBeLessThan(tolerance.score);
  });

  it("takes a threshold for each class, and ends after the images that it was given", async () => {
    const [all, cats, ended] = await page.evaluate<[number, string[], string]>(
      `import("/dist/browser/index.js").then(async ({ RFDETR }) => {
        const detector = await RFDETR.load("/tiny.onnx", { runtimeFolder: "/ort/", backend: "wasm" });
        const blob = await (await fetch("/photo.jpg")).blob();
        const found = [{ threshold: 0 }, { threshold: { "*": 1, cat: 0 } }].map((each) => detector.predict(blob, each));
        const end = detector.dispose();
        const [all, cats] = await Promise.all(found);
        await end;
        await detector.dispose();
        const ended = await detector.predict(blob).catch(({ message }) => message);
        return [all.length, cats.map(({ className }) => className), ended];
      })`,
    );
    expect([...new Set(cats)]).toEqual(["cat"]);
    expect(cats.length).toBeLessThan(all);
    expect(ended).toBe("Expected a detector that is in use but this seg-tiny was disposed of");
  });

  it("runs in WebGPU where there is a GPU, with the results of predict", { timeout: 120_000 }, async () => {
    const withGpu = await startChromium({ gpu: true });
    const page = await withGpu.newPage();
    await page.goto(`${server.url}page/`);
    const { report, detections } = await page.evaluate<{ report: LoadReport; detections: Detection[] }>(
      `import("/dist/browser/index.js").then(async ({ RFDETR }) => {
        const detector = await RFDETR.load("/tiny.onnx", { runtimeFolder: "/ort/" });
        const blob = await (await fetch("/photo.jpg")).blob();
        const found = await detector.predict(blob, { threshold: 0.01 });
        const detections = found.map((each) => ({ ...each, mask: { ...each.mask, counts: [...each.mask.counts] } }));
        return { report: detector.report, detections };
      })`,
    );
    await withGpu.close();
    expect(report.attempts).toEqual([expect.objectContaining({ backend: "webgpu", form: "file", reason: null })]);
    const expected = predictor.detectPixels(await decode(join(folder, "photo.jpg")), { threshold: 0.01 });
    const worst = difference(detections, expected.detections);
    console.log(`photo.jpg in WebGPU: boxes ${worst.box} px, scores ${worst.score} off`);
    expect(worst.box).toBeLessThan(tolerance.box);
    expect(worst.score).toBeLessThan(tolerance.score);
  });

  it.each([
    ["an ImageBitmap", "(blob) => createImageBitmap(blob)"],
    [
      "an image element",
      "async (blob) => { const image = new Image(); image.src = URL.createObjectURL(blob); await image.decode(); return image; }",
    ],
    [
      "a canvas",
      `async (blob) => {
        const [bitmap, canvas] = [await createImageBitmap(blob), document.querySelector("canvas")];
        [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
        canvas.getContext("2d").drawImage(bitmap, 0, 0);
        return canvas;
      }`,
    ],
    [
      "an OffscreenCanvas",
      `async (blob) => {
        const bitmap = await createImageBitmap(blob);
        const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
        canvas.getContext("2d").drawImage(bitmap, 0, 0);
        return canvas;
      }`,
    ],
    [
      "ImageData",
      `async (blob) => {
        const bitmap = await createImageBitmap(blob);
        const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
        context.drawImage(bitmap, 0, 0);
        return context.getImageData(0, 0, bitmap.width, bitmap.height);
      }`,
    ],
    ["a VideoFrame", "async (blob) => new VideoFrame(await createImageBitmap(blob), { timestamp: 0 })"],
  ])("takes %s", async (_, expression) => {
    const expected = predictor.detectPixels(await decode(join(folder, "plain.png")), { threshold: 0.01 });
    const worst = difference(await detect("plain.png", expression), expected.detections);
    expect(worst.box).toBeLessThan(tolerance.box);
    expect(worst.score).toBeLessThan(tolerance.score);
  });
});
