// The multi-layer perceptron that predicts box deltas and embeds reference boxes.
import { nn, type Tensor } from "@rfdetr/torch";

/**
 * Multi-layer perceptron with ReLU between its `count` linear layers: `[…, input]` to `[…, output]`. Source:
 * `rfdetr.models.math: MLP`.
 */
export class MLP extends nn.Module {
  layers: nn.Linear[];
  constructor(input: number, hidden: number, output: number, count: number) {
    super();
    this.layers = Array.from(
      { length: count },
      (_, i) => new nn.Linear(i === 0 ? input : hidden, i === count - 1 ? output : hidden),
    );
  }
  override forward(x: Tensor): Tensor {
    return nn.mlp(this.layers, x, "relu");
  }
}
