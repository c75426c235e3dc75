// The tracer: an interceptor that records the operators of one forward pass.
import {
  type DType,
  decompositionOf,
  intercept,
  noGrad,
  type Operator,
  scope,
  Tensor,
  type TensorData,
} from "@rfdetr/torch";
import type { MaskFeatures } from "../../model/outputs.js";
import { ExportError } from "../../support/errors.js";
import type { Dim } from "./graph.js";
import { maskLogits, maskModule } from "./mask-logits.js";
import { exportParts } from "./parts.js";

/** A tensor of a trace. */
export interface TracedTensor {
  readonly shape: readonly Dim[];
  readonly dtype: DType;
  /** Key in the state dict, for a parameter. */
  readonly key: string | null;
  /** Reads the elements where they do not depend on the images; null where they do. */
  readonly bits: (() => TensorData) | null;
}

/** An argument of a traced operator: what the model gave, with its tensors replaced. */
export type TracedArgument = TracedTensor | Dim | boolean | string | null | undefined | readonly TracedArgument[];

/** One call of an operator. */
export interface TracedCall {
  readonly op: Operator;
  readonly args: readonly TracedArgument[];
  readonly results: readonly TracedTensor[];
  /** Path of the running module; `""` outside of modules. */
  readonly module: string;
  /** Tensors that the model's own code converts before this call under the training's autocast, with the new dtype. */
  readonly converted?: ReadonlyMap<TracedTensor, DType>;
}

/** A detector as the tracer needs it: `RFDETRModel` is one. */
export interface TracedModel {
  /** Parameters and buffers by key. */
  stateDict(): Map<string, Tensor>;
  call(images: Tensor): { predBoxes: Tensor; predLogits: Tensor; predMasks?: MaskFeatures };
}

/** One forward pass. */
export interface Trace {
  readonly images: TracedTensor;
  readonly calls: readonly TracedCall[];
  readonly boxes: TracedTensor;
  readonly logits: TracedTensor;
  /** Logits of the masks of all queries; null for a model without them. */
  readonly masks: TracedTensor | null;
}

/**
 * Runs a model once without autograd and records its operators, with the decompositions of fused ones. The trace reads
 * parameters from the model, which must not change before the graph is made.
 * @param model in evaluation mode, float32, on the CPU
 * @param images `[B, 3, H, W]` float32
 * @throws ExportError for an operator that writes into its input
 */
export function trace(model: TracedModel, images: Tensor): Trace {
  const tracer = new Tracer(model);
  const input = tracer.input(images);
  return withCalls(
    (op, args, result, module) => tracer.record(op, args, result, module),
    () => {
      const { predBoxes, predLogits, predMasks } = model.call(images);
      tracer.outside = maskModule;
      const masks = predMasks === undefined ? null : tracer.of(maskLogits(predMasks));
      return { images: input, calls: tracer.calls, boxes: tracer.of(predBoxes), logits: tracer.of(predLogits), masks };
    },
  );
}

/** Sees a call that has run. */
type Seen = (op: Operator, args: readonly unknown[], result: unknown, module: string) => void;

/**
 * Runs a model as {@link trace} does, and hands the results of each call to `see`, with the number that the trace gives
 * to the call.
 */
export function watchCalls(model: TracedModel, images: Tensor, see: (call: number, results: Tensor[]) => void): void {
  let call = 0;
  withCalls(
    (_op, _args, result) => see(call++, [result].flat() as Tensor[]),
    () => {
      const { predMasks } = model.call(images);
      if (predMasks !== undefined) maskLogits(predMasks);
    },
  );
}

function withCalls<T>(see: Seen, body: () => T): T {
  const remove = intercept((call, next) => {
    const parts = exportParts.get(call.op.name) ?? decompositionOf(call.op);
    if (parts !== undefined) return parts.run(call.args);
    const result = next(call.args);
    see(call.op, call.args, result, call.module?.path ?? "");
    return result;
  });
  try {
    return noGrad(() => scope(body));
  } finally {
    remove();
  }
}

class Tracer {
  readonly calls: TracedCall[] = [];
  /** The module of what no module calls. */
  outside = "";
  readonly #keys: Map<Tensor, string>;
  readonly #traced = new Map<Tensor, TracedTensor>();

  constructor(model: TracedModel) {
    this.#keys = new Map([...model.stateDict()].map(([key, tensor]) => [tensor, key]));
  }

  input(tensor: Tensor): TracedTensor {
    return this.#add(tensor, null, null);
  }

  /** A tensor of the model: one that was recorded, or else a constant. */
  of(tensor: Tensor): TracedTensor {
    const known = this.#traced.get(tensor);
    if (known !== undefined) return known;
    const key = this.#keys.get(tensor) ?? null;
    // Tensors that the model makes as it runs are gone when the graph is made.
    return this.#add(tensor, key, key === null ? bitsOf(tensor) : () => tensor.toBits());
  }

  record(op: Operator, args: readonly unknown[], result: unknown, module: string): void {
    if (op.inPlace)
      throw new ExportError(`Expected operators that make new tensors but ${op} in ${module} writes into its input`);
    const traced = args.map((value) => this.#argument(value));
    const constant = traced.flat().every((value) => !isTraced(value) || value.bits !== null);
    const results = (Array.isArray(result) ? result : [result]).map((value: unknown) => {
      if (!(value instanceof Tensor))
        throw new ExportError(`Expected tensors from ${op} in ${module} but received ${value}`);
      return this.#add(value, null, constant ? bitsOf(value) : null);
    });
    this.calls.push({ op, args: traced, results, module: module || this.outside });
  }

  #argument(value: unknown): TracedArgument {
    if (value instanceof Tensor) return this.of(value);
    return Array.isArray(value) ? value.map((each) => this.#argument(each)) : (value as TracedArgument);
  }

  #add(tensor: Tensor, key: string | null, bits: (() => TensorData) | null): TracedTensor {
    const traced = { shape: tensor.shape, dtype: tensor.dtype, key, bits };
    this.#traced.set(tensor, traced);
    return traced;
  }
}

function bitsOf(tensor: Tensor): () => TensorData {
  const bits = tensor.toBits();
  return () => bits;
}

/** Whether an argument is a tensor. */
export function isTraced(value: TracedArgument): value is TracedTensor {
  return typeof value === "object" && value !== null && "shape" in value;
}
