import { nn, noGrad, randn, scope, type Tensor } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { observe } from "../observe.js";
import { Autocast } from "./autocast.js";

const bf16 = (): Autocast => new Autocast("bf16-mixed");

describe("the shared cast", () => {
  it("serves all neighbouring layers that read a tensor, while the tensor stays as it is", () => {
    const layers = [new nn.Linear(8, 4), new nn.Linear(8, 4)];
    const casts = (read: (layer: nn.Linear, x: Tensor) => void): number => {
      let count = 0;
      const stop = observe(({ by, args }) => {
        if (by === "cast" && !(args[0] instanceof nn.Parameter)) count++;
      });
      scope(() => {
        const x = randn([2, 8]);
        bf16().run(() => layers.forEach((layer) => read(layer, x)));
      });
      stop();
      return count;
    };
    expect(casts((layer, x) => void layer.call(x))).toBe(1);
    expect(
      casts((layer, x) => {
        layer.call(x);
        x.add_(1);
      }),
    ).toBe(2);
    expect(casts((layer, x) => void layer.call(x.clone()))).toBe(2);
  });

  it("of a forward without autograd does not serve one that autograd records", () => {
    const layer = new nn.Linear(8, 4);
    scope(() => {
      const x = randn([2, 8]);
      x.requiresGrad = true;
      bf16().run(() => {
        noGrad(() => layer.call(x));
        (layer.call(x) as Tensor).float().sum().backward();
      });
      expect(x.grad?.dtype).toBe("float32");
    });
  });

  it("is made again for a tensor that came to require a gradient", () => {
    const layers = [new nn.Linear(8, 4), new nn.Linear(8, 4)];
    scope(() => {
      const x = randn([2, 8]);
      bf16().run(() => {
        layers[0].call(x);
        x.requiresGrad = true;
        (layers[1].call(x) as Tensor).float().sum().backward();
      });
      expect(x.grad?.dtype).toBe("float32");
    });
  });
});
