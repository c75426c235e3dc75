import { manualSeed, noGrad } from "@rfdetr/torch";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import { RFDETRModel } from "../model/rfdetr.js";
import { resolveModel } from "../model/variants.js";
import { listDetections } from "../onnx/detections.js";
import type { RawImage } from "../pictures/picture.js";
import { Predictor } from "./predict.js";
import type { DetectOptions } from "./types.js";

const config = resolveModel("tiny", { numClasses: 2 });
let model: RFDETRModel;
let predictor: Predictor;
beforeAll(() => {
  manualSeed(0);
  model = new RFDETRModel(config);
  predictor = new Predictor(model, { classNames: ["cat"], precision: "32-true", device: "cpu" });
});

/** A picture of noise, so that neighbours differ. */
function noise(width: number, height: number, seed: number): RawImage {
  let state = seed;
  const data = Uint8Array.from({ length: width * height * 3 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
  return { data, width, height, channels: 3 };
}

describe("a batch", () => {
  it.each([true, false])("finds in each image what is found in it alone, to 1e-5 (antialias %s)", (antialias) => {
    const options: DetectOptions = { threshold: 0, antialias };
    const images = [noise(150, 90, 1), noise(64, 64, 2), noise(40, 200, 3)];
    const squares = images.map((image) => predictor.toSquare(image, options));
    const together = predictor.detectSquares(squares, 0);
    images.forEach((image, i) => {
      const alone = predictor.detectPixels(image, options);
      expect([together[i].width, together[i].height]).toEqual([image.width, image.height]);
      expect(together[i].detections.length).toBe(alone.detections.length);
      together[i].detections.forEach(({ score }, at) => {
        expect(Math.abs(score - alone.detections[at].score)).toBeLessThan(1e-5);
      });
      const [best] = together[i].detections;
      const twin = alone.detections.find(
        ({ box, classId }) =>
          classId === best.classId &&
          box.every((edge, c) => Math.abs(edge - best.box[c]) <= 1e-5 * Math.max(image.width, image.height)),
      );
      expect(twin).toBeDefined();
    });
  });
});

describe("a decoded image", () => {
  it("that is smaller than its file has boxes in pixels of the file", () => {
    const small = noise(100, 50, 8);
    const { detections } = predictor.detectPixels(small, { threshold: 0 });
    const large = predictor.detectPixels({ ...small, original: { width: 300, height: 200 } }, { threshold: 0 });
    expect([large.width, large.height]).toEqual([300, 200]);
    detections.forEach(({ box: [x1, y1, x2, y2] }, i) => {
      [x1 * 3, y1 * 4, x2 * 3, y2 * 4].forEach((edge, c) => {
        expect(large.detections[i].box[c]).toBeCloseTo(edge, 3);
      });
    });
  });
});

describe("antialias", () => {
  it("is the default, and makes another picture of a large one", () => {
    const image = noise(400, 300, 4);
    const square = predictor.toSquare(image, {}).pixels;
    expect(square).toBeInstanceOf(Uint8Array);
    expect(square).toEqual(predictor.toSquare(image, { antialias: true }).pixels);
    const plain = predictor.toSquare(image, { antialias: false }).pixels;
    const spread = (values: ArrayLike<number>, scale: number) => {
      const all = Array.from(values, (value) => value / scale);
      const mean = all.reduce((a, b) => a + b) / all.length;
      return Math.sqrt(all.reduce((a, b) => a + (b - mean) ** 2, 0) / all.length);
    };
    // Averages of many pixels of noise vary less than four of them do.
    expect(spread(square, 255)).toBeLessThan(spread(plain, 1) / 2);
  });

  it("changes nothing where the image has the model's size", () => {
    const { resolution: side } = config;
    const image = noise(side, side, 5);
    const plain = predictor.toSquare(image, { antialias: false }).pixels;
    expect(predictor.toSquare(image, {}).pixels).toEqual(image.data);
    expect(Math.max(...Array.from(plain, (value, i) => Math.abs(value - image.data[i] / 255)))).toBeLessThan(1e-7);
  });
});

describe("shape", () => {
  it("is what the model sees; boxes stay in pixels of the image", () => {
    const image = noise(300, 100, 9);
    const shape = [64, 192] as const;
    const { pixels } = predictor.toSquare(image, { shape });
    expect(pixels.length).toBe(64 * 192 * 3);
    const found = predictor.detectPixels(image, { threshold: 0, shape });
    expect([found.width, found.height]).toEqual([300, 100]);
    const { detections } = predictor.detectPixels(image, { threshold: 0, shape: config.resolution });
    expect(detections).toEqual(predictor.detectPixels(image, { threshold: 0 }).detections);
    expect(detections).not.toEqual(found.detections);
  });

  it("has sides that the model can divide", () => {
    const predict = (shape: DetectOptions["shape"]) => () => predictor.detectPixels(noise(64, 64, 9), { shape });
    expect(predict([64, 70])).toThrow(/Expected an input side divisible by \d+ .* but received 70: use 64 or /);
    expect(predict(10)).toThrow("but received 10");
  });
});

describe("names of classes", () => {
  it("are those of the weights, a number where there is none, and nothing is detected of the last row, which has no class", () => {
    const found = { boxes: new Float32Array(12), scores: Float32Array.of(3, 2, 1), labels: Int32Array.of(0, 1, 2) };
    const everything = predictor.detectPixels(noise(64, 64, 6), { threshold: 0 }).detections;
    const names = new Map(everything.map(({ classId, className }) => [classId, className]));
    expect(Object.fromEntries(names)).toEqual({ 0: "cat", 1: "class 1" });
    expect(listDetections(found, ["a"], 0).map(({ className }) => className)).toEqual(["a", "class 1", "class 2"]);
  });
});

describe("results that are not finite", () => {
  it("are an error that names the weights, rather than nothing found", async () => {
    const damaged = new RFDETRModel(config);
    noGrad(() => damaged.classEmbed.bias?.fill_(Number.NaN));
    const broken = new Predictor(damaged, {
      classNames: [],
      precision: "32-true",
      device: "cpu",
      name: "broken.safetensors",
    });
    const picture = await sharp(noise(64, 64, 7).data, { raw: { width: 64, height: 64, channels: 3 } })
      .png()
      .toBuffer();
    await expect(broken.detect(picture)).rejects.toThrow(
      "Expected finite scores and boxes but broken.safetensors gives NaN or infinity",
    );
    broken.dispose();
  });
});
