// What a pickle holds beside plain data.

/** An object of a Python class that is kept as its attributes, such as argparse.Namespace. */
export class PickledObject {
  readonly attributes = new Map<unknown, unknown>();
  constructor(readonly className: string) {}
}

/** A name such as `torch.float32`, or a class that only stands for itself. */
export class PickledName {
  constructor(readonly name: string) {}
}

/** The memory of one or more tensors; its bytes are outside of the pickle. */
export interface PickledStorage {
  /** Class such as `torch.FloatStorage`. */
  type: string;
  key: string;
  elements: number;
}

/** A tensor as its view of a storage; offset and strides count elements. */
export interface PickledTensor {
  storage: PickledStorage;
  offset: number;
  shape: number[];
  strides: number[];
}

export const isPickledTensor = (value: unknown): value is PickledTensor =>
  typeof value === "object" && value !== null && "storage" in value && "strides" in value;
