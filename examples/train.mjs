#!/usr/bin/env node
// @ts-check
// Trains, evaluates and detects in ten lines: node examples/train.mjs birds/ nano 50
import { RFDETR } from "rfdetr";
import "./errors.mjs";

const [data = "birds/", model = "nano", epochs = "50"] = process.argv.slice(2);
const detector = await RFDETR.create(model);
const run = detector.train({ data, epochs: Number(epochs) });
for await (const event of run)
  if (event.type === "epoch") console.log(`epoch ${event.epoch}: loss ${event.loss?.toFixed(2)}, AP50 ${event.ap50}`);
const { dir, best } = await run.result;
console.log(`${dir}: AP on the valid split ${(await detector.evaluate({ data })).AP}, best weights ${best}`);
await detector.dispose();
