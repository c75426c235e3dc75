#!/usr/bin/env node
// @ts-check
// What mixed precision does to a forward pass: the cast map of the demo model, as a tree and a table. `rfdetr doctor
// --model demo --casts` prints the same.
import { CastMap } from "@rfdetr/amp";
import { noGrad, randn, scope } from "@rfdetr/torch";
import { modelAutocast, RFDETRModel, resolveModel } from "rfdetr/model";

const config = resolveModel("demo");
// In training, as doctor sees it: evaluation takes one group of the queries.
const model = new RFDETRModel(config).train();
const autocast = modelAutocast(model, { precision: "bf16-mixed" });
const map = new CastMap();
noGrad(() =>
  scope(() => {
    const images = randn([2, 3, config.resolution, config.resolution]);
    map.watch(() => autocast.run(() => void model.call(images)));
  }),
);
console.log(`${map.tree()}\n\n${map.table()}`);
