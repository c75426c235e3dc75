// @ts-check
// A group of one process on the device: what travels by NCCL there, and the sums of gradients.
import { distributed, manualSeed, randn, tensor } from "@rfdetr/torch";
import { freePort } from "../free-port.mjs";

export async function processes(report, { device }) {
  if (device === "meta") return report.leave("it compares values");
  await report.step("a group of one process");
  const group = distributed.ProcessGroup.join({
    rank: 0,
    size: 1,
    address: "127.0.0.1",
    port: await freePort(),
    isStoreServer: true,
    timeoutSeconds: 60,
    device,
  });
  const numbers = tensor([1, 2, 3], { device });
  group.allReduce([numbers]);
  group.broadcast([numbers]);
  const [gathered] = group.allGather(numbers);
  report.holds("collectives of tensors of the device keep them", String(gathered?.toList()) === "1,2,3");
  manualSeed(5);
  const weight = randn([256, 256], { device });
  weight.requiresGrad = true;
  const input = randn([64, 256], { device });
  const loss = () => input.matmul(weight).sigmoid().mean();
  loss().backward();
  const alone = gradientOf(weight).clone();
  for (const compress of /** @type {const} */ ([null, "bfloat16"])) {
    weight.grad = null;
    const reducer = new distributed.Reducer(group, [["weight", weight]], { compress });
    reducer.backward(loss());
    const { bytes, localNorm } = reducer.last();
    const error = gradientOf(weight).sub(alone).abs().max().item() / alone.abs().max().item();
    report.atMost(
      `gradients through the reducer, ${compress ?? "as they are"}: relative error`,
      error,
      compress ? 2 ** -8 : 0,
    );
    report.holds("their bytes and their norm are told", bytes > 0 && Math.abs(localNorm - alone.norm().item()) < 1e-6);
    reducer.dispose();
  }
  group.leave();
}

/** @param {import("@rfdetr/torch").Tensor} weight */
function gradientOf({ grad }) {
  if (grad === null) throw new Error("Expected a gradient after backward but there is none");
  return grad;
}
