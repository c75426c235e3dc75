#!/usr/bin/env node
// @ts-check
// Trains on images that a program makes: coloured squares, drawn here. Rows may as well come from a database, a queue
// or an archive. node examples/custom-dataset.mjs tiny 20
import { RFDETR } from "rfdetr";
import "./errors.mjs";

const [model = "tiny", epochs = "20"] = process.argv.slice(2);
const side = 96;
const colours = { red: 0, green: 1, blue: 2 };

/** An image with one square. @param {number} index @returns {import("rfdetr").CustomRow} */
function row(index) {
  const data = new Uint8Array(side * side * 3).fill(90 + (index % 7) * 10);
  const name = Object.keys(colours)[index % 3];
  const [x, y, size] = [(index * 13) % 48, (index * 29) % 48, 24 + (index % 4) * 6];
  for (let v = y; v < y + size; v++) for (let u = x; u < x + size; u++) data[(v * side + u) * 3 + colours[name]] = 250;
  return {
    image: { data, width: side, height: side, channels: 3 },
    boxes: [[x, y, x + size, y + size]],
    labels: [name],
  };
}

/** Rows by number: nothing is in memory but the row that is read. @param {number} first @param {number} length */
const rows = (first, length) => ({ length, get: (/** @type {number} */ index) => row(first + index) });

const detector = await RFDETR.create(model);
// Few images and random weights need larger steps than the defaults, which fine-tune published weights.
const rates = { lr: 7e-4, lrEncoder: 7e-4, lrVitLayerDecay: 1, lrComponentDecay: 1 };
const few = { ...rates, batchSize: 2, useEma: false, multiScale: "off" };
const data = { train: rows(0, 24), valid: rows(24, 6) };
const run = detector.train({ data, epochs: Number(epochs), .../** @type {import("rfdetr").TrainOptions} */ (few) });
for await (const event of run) if (event.type === "epoch") console.log(event.epoch, event.loss, event.ap50);
const { image } = row(30);
const { thresholds } = await detector.load(); // those that the evaluation found best, one for each class
const found = await detector.predict(/** @type {import("rfdetr").RawImage} */ (image), {
  threshold: thresholds ?? 0.3,
});
console.log(found.length === 0 ? "nothing is found at this threshold: train for more epochs" : found);
await detector.dispose();
