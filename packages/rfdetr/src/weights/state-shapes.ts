// The tensors that a model of given sizes has, found without taking their memory.
import { scope, withDevice } from "@rfdetr/torch";
import { RFDETRModel } from "../model/rfdetr.js";
import type { ModelConfig } from "../model/types.js";

/** The shape of every tensor in the state dict of a model. Takes no memory for the tensors, however large they are. */
export function stateShapes(config: ModelConfig): Map<string, number[]> {
  return scope(() => {
    const model = withDevice("meta", () => new RFDETRModel(config));
    const shapes = new Map([...model.stateDict()].map(([key, tensor]) => [key, tensor.shape]));
    model.dispose();
    return shapes;
  });
}
