#!/usr/bin/env node
// @ts-check
// Tensors, autograd, a module and an optimizer, without any detector: fits a small network to sin(x).
import { manualSeed, nn, ops, optim, scope, tensor } from "@rfdetr/torch";

manualSeed(0);
class Network extends nn.Module {
  hidden = new nn.Linear(1, 32);
  output = new nn.Linear(32, 1);
  forward(x) {
    return this.output.call(ops.tanh(this.hidden.call(x)));
  }
}

const network = new Network();
const optimizer = new optim.AdamW([{ params: network.parameters(), lr: 1e-2, weightDecay: 0 }]);
const x = tensor(
  Float32Array.from({ length: 200 }, (_, i) => -3 + i * 0.03),
  { shape: [200, 1] },
);
const y = x.sin();
for (let step = 1; step <= 500; step++)
  scope(() => {
    optimizer.zeroGrad();
    const loss = network.call(x).sub(y).pow(2).mean();
    loss.backward();
    optimizer.step();
    if (step % 100 === 0) console.log(`step ${step}: mean squared error ${loss.item().toExponential(2)}`);
  });
