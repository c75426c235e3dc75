import { memory, nn, noGrad, ops, scope, type Tensor, tensor } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { Autocast } from "../autocast/autocast.js";
import { Choices } from "./choices.js";

/** Takes the two largest of a row. */
class Best extends nn.Module {
  override forward(x: Tensor): Tensor {
    return ops.topk(x, 2)[0];
  }
}
const best = new Best();
best.name("ranking");
const values = (x: Tensor): unknown => x.toList();
const topk = { path: "ranking", operator: "topk", places: 2 };

describe("choices", () => {
  it("of a run are made again in another, on the values of that one", () => {
    const choices = new Choices();
    expect(values(choices.record(() => best.call(tensor([1, 3, 2]))))).toEqual([3, 2]);
    expect(values(choices.repeat(() => best.call(tensor([9, 3, 10]))))).toEqual([3, 10]);
    expect(choices.agreement).toEqual([{ ...topk, same: 0 }]);
    expect(values(choices.repeat(() => best.call(tensor([1, 4, 2]))))).toEqual([4, 2]);
    expect(choices.agreement).toEqual([{ ...topk, same: 2 }]);
    expect(values(best.call(tensor([9, 3, 5])))).toEqual([9, 5]);
  });

  it("keep the gradient of what is chosen", () => {
    const choices = new Choices();
    choices.record(() => best.call(tensor([1, 3, 2])));
    const x = tensor([9, 3, 5]);
    x.requiresGrad = true;
    choices
      .repeat(() => new Autocast("bf16-mixed").run(() => best.call(x)))
      .sum()
      .backward();
    expect(values(x.grad as Tensor)).toEqual([0, 1, 1]);
  });

  it("of sorting and of assignment are repeated too", () => {
    const choices = new Choices();
    const body = (x: Tensor): unknown[] =>
      [
        ...ops.sort(x, { dim: 0, descending: true }),
        ...(ops.linearSumAssignment(x.unsqueeze(0)).slice(0, 2) as Tensor[]),
      ].map((y) => values(y));
    const [a, b] = [
      tensor([
        [1, 5],
        [2, 3],
      ]),
      tensor([
        [7, 1],
        [2, 8],
      ]),
    ];
    const [, order, ...pairs] = noGrad(() => choices.record(() => body(a)));
    const [sorted, ...chosen] = noGrad(() => choices.repeat(() => body(b)));
    expect(chosen).toEqual([order, ...pairs]);
    expect(sorted).toEqual(
      values(b.gather(0, tensor((order as number[][]).flat(), { shape: [2, 2], dtype: "int64" }))),
    );
    expect(choices.agreement.map(({ operator, same, places }) => [operator, same < places])).toEqual([
      ["sort", true],
      ["linear_sum_assignment", true],
    ]);
  });

  it("are a run's own where it differs from the recorded one", () => {
    const choices = new Choices();
    choices.record(() => best.call(tensor([1, 3, 2])));
    const two = (): unknown[] => [tensor([9, 3, 5]), tensor([4, 8, 6])].map((x) => values(best.call(x)));
    expect(choices.repeat(two)).toEqual([
      [3, 5],
      [8, 6],
    ]);
    expect(values(choices.repeat(() => best.call(tensor([[9, 3, 5]]))))).toEqual([[9, 5]]);
    expect(choices.agreement).toEqual([]);
  });

  it("leave nothing behind, also where a run fails", () => {
    const before = scope(() => memory().liveTensors);
    scope(() => {
      const choices = new Choices();
      const fail = (): never => {
        best.call(tensor([1, 3, 2]));
        throw new Error("stop");
      };
      expect(() => choices.record(fail)).toThrow("stop");
      expect(() => choices.repeat(fail)).toThrow("stop");
      expect(values(best.call(tensor([9, 3, 5])))).toEqual([9, 5]);
      choices.dispose();
    });
    expect(memory().liveTensors).toBe(before);
  });
});
