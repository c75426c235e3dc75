#!/usr/bin/env node
// @ts-check
// What mixed precision does to a forward pass: an interceptor counts the operators of the demo model by module and
// dtypes.
import { intercept, nn, noGrad, randn, scope, Tensor } from "@rfdetr/torch";
import { modelAutocast, RFDETRModel, resolveModel } from "rfdetr/model";

const model = new RFDETRModel(resolveModel("demo")).eval();
const autocast = modelAutocast(model, { precision: "bf16-mixed" });
const counts = new Map();
noGrad(() =>
  scope(() => {
    const images = randn([1, 3, 128, 128]);
    autocast.run(() => {
      // Installed inside of autocast, the interceptor sees the arguments as they arrive at the operator.
      const remove = intercept((call, next) => {
        const dtypes = call.args.filter((value) => value instanceof Tensor).map((value) => value.dtype);
        const key = `${nn.currentPath().split(".").slice(0, 4).join(".").padEnd(36)} ${call.op.base.padEnd(16)} ${dtypes.join(", ")}`;
        counts.set(key, (counts.get(key) ?? 0) + 1);
        return next(call.args);
      });
      model.call(images);
      remove();
    });
  }),
);
for (const [key, count] of [...counts].filter(([key]) =>
  /linear|conv2d|attention|layer_norm|baddbmm|grid_sampler/.test(key),
))
  console.log(`${String(count).padStart(3)} × ${key}`);
