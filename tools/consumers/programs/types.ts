// The options that the documents show, as a compiler sees them: a wrong one is an error of types. Nothing runs this.
import {
  type CustomDataset,
  type Detection,
  type DetectorTrainOptions,
  defineCallbacks,
  defineConfig,
  RFDETR,
  RfdetrError,
  track,
  video,
} from "rfdetr";

const detector = await RFDETR.create("nano", { weights: "none", precision: "bf16-mixed", device: "cpu" });
// @ts-expect-error: no such option.
await RFDETR.create("nano", { weigths: "none" });
// @ts-expect-error: no such precision.
await RFDETR.create("nano", { precision: "fp16" });
// @ts-expect-error: an option that is given has a value.
await RFDETR.create("nano", { device: undefined });
// @ts-expect-error: the weights are the first argument.
await RFDETR.load("best.safetensors", { weights: "nano" });

const rows: CustomDataset = {
  length: 1,
  get: async (index) => ({ image: `${index}.jpg`, boxes: [[9, 9, 90, 60]], labels: ["owl"] }),
};
const options: DetectorTrainOptions = { data: { train: rows, valid: rows }, epochs: 5, batchSize: 4, lr: 1e-4 };
const run = detector.train({ ...options, signal: AbortSignal.timeout(1000) });
detector.train({ data: "birds/", processes: 2, maxRestarts: 1, memory: "lean", callbacks: "callbacks.mjs" });
// @ts-expect-error: did you mean epochs?
detector.train({ data: "birds/", epocs: 5 });
// @ts-expect-error: settings have their names in camelCase.
detector.train({ data: "birds/", batch_size: 5 });
// @ts-expect-error: a number.
detector.train({ data: "birds/", epochs: "5" });
// @ts-expect-error: rows need labels.
detector.train({ data: { train: { length: 1, get: () => ({ image: "a.jpg", boxes: [] }) } } });
for await (const event of run) {
  if (event.type === "epoch") {
    const numbers: [number, number | null] = [event.epoch, event.loss];
    console.log(numbers, event.ap50, event.amp.skipped);
  }
  // @ts-expect-error: no such event.
  if (event.type === "epcoh") console.log(event);
}
const { best, dir, summary } = await run.result;
const texts: [string | null, string] = [best, dir];
console.log(texts, summary.AP);
for await (const event of await RFDETR.resume(dir, { epochs: 9 })) console.log(event.type);
// @ts-expect-error: a continued run keeps its batches.
await RFDETR.resume(dir, { batchSize: 2 });

const found: Detection[] = await detector.predict("a.jpg", { threshold: { "*": 0.5, owl: 0.3 }, classes: ["owl"] });
for (const { className, classId, score, box } of found) {
  const [left]: readonly number[] = box;
  console.log(className satisfies string, (classId + score + (left ?? 0)).toFixed());
}
// @ts-expect-error: did you mean threshold?
await detector.predict("a.jpg", { treshold: 0.4 });
// @ts-expect-error: batches are of many images.
await detector.predict(new Uint8Array(9), { batch: 8 });
// @ts-expect-error: no image.
await detector.predict(7);
const name: string = "photos";
const ofText: Detection[] = await detector.predict(name, { batch: 8 });
for await (const { source, detections } of detector.predict(name))
  console.log(typeof source === "string" ? source : source.frame, detections.length, ofText.length);
// @ts-expect-error: the frames of a video are iterated, not awaited.
console.log((await detector.predict("clip.mp4")).length);
const lists: Detection[][] = await detector.predict(["a.jpg", new URL("file:///b.jpg"), new Blob([])], {
  batch: "auto",
});
for await (const { source, detections, error } of detector.predict(["a.jpg"], { onError: "return", tiles: 640 }))
  console.log(source.toUpperCase(), error?.message ?? detections, lists.length);
for await (const { source, detections } of track(detector.predict(video("a.mp4", { every: 2 }), { shape: [384, 640] })))
  for (const { trackId } of detections) console.log(trackId?.toFixed(), source.frame, source.seconds);
// @ts-expect-error: did you mean every?
video("a.mp4", { evry: 2 });

console.log((await detector.evaluate({ data: "birds/", split: "test" })).AP);
// @ts-expect-error: no such split.
await detector.evaluate({ data: "birds/", split: "tset" });
console.log((await detector.export({ out: "a.onnx", precision: "int8", batch: "dynamic" })).proof?.flips);
// @ts-expect-error: there is no bfloat16 in exported files.
await detector.export({ precision: "bf16" });

export default defineConfig({ model: "nano", epochs: 5, batchSize: 2 });
// @ts-expect-error: did you mean epochs?
defineConfig({ epocs: 5 });
defineCallbacks({ onStep: ({ step }) => ({ metrics: { twice: 2 * step } }) });
// @ts-expect-error: no such callback.
defineCallbacks({ onSteps: () => {} });

try {
  await using other = await RFDETR.load("birds.onnx", { classNames: ["owl"] });
  console.log(other.classNames?.length);
} catch (error) {
  if (RfdetrError.is(error)) console.log(error.code, error.message, error.hint);
}
