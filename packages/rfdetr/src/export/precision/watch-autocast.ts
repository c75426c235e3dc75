// Which dtypes the training's autocast gives to the tensors of a trace. A float32 trace does not show the conversions
// that the model's own code asks for, because a conversion to the same dtype is none.
import { Autocast, type Overrides, type Policy } from "@rfdetr/amp";
import {
  type Call,
  type DType,
  decompositionOf,
  intercept,
  type Next,
  noGrad,
  scope,
  Tensor,
  zeros,
} from "@rfdetr/torch";
import { modelOverrides } from "../../model/precision/precision.js";
import { ExportError } from "../../support/errors.js";
import { maskLogits } from "../graph/mask-logits.js";
import { exportParts } from "../graph/parts.js";
import {
  isTraced,
  type Trace,
  type TracedArgument,
  type TracedCall,
  type TracedModel,
  type TracedTensor,
} from "../graph/trace.js";

/** Dtypes of one call: of its tensors as the model hands them over, before autocast casts them, and of its results. */
interface CallDtypes {
  readonly op: string;
  readonly args: readonly DType[];
  readonly results: readonly DType[];
}

const isConversion = (op: string): boolean => op === "aten::_to_copy";
const tensorsOf = (value: unknown): Tensor[] => [value].flat(2).filter((each) => each instanceof Tensor);
const tracedOf = (args: readonly TracedArgument[]): TracedTensor[] => args.flat(2).filter(isTraced);

/** Runs a model under the training's autocast and records dtypes, with the decompositions that a trace takes. */
function watchAutocast(
  model: TracedModel,
  [batch, height, width]: readonly [batch: number, height: number, width: number],
  training: { policy: Policy; overrides: Overrides },
): CallDtypes[] {
  const seen: CallDtypes[] = [];
  let inside = false;
  const record = (call: Call, next: Next): unknown => {
    // What autocast does to run a call is no call of the model.
    if (inside) return next(call.args);
    const parts = exportParts.get(call.op.name) ?? decompositionOf(call.op);
    if (parts !== undefined) return parts.run(call.args);
    const args = tensorsOf(call.args).map(({ dtype }) => dtype);
    inside = true;
    try {
      const result = next(call.args);
      const results = tensorsOf(result).map(({ dtype }) => dtype);
      if (!isConversion(call.op.name)) seen.push({ op: call.op.name, args, results });
      return result;
    } finally {
      inside = false;
    }
  };
  const autocast = new Autocast("16-mixed", { ...training, overrides: { ...modelOverrides, ...training.overrides } });
  using images = zeros([batch, 3, height, width]);
  // The first interceptor is outermost, so this one comes before autocast's.
  const remove = intercept(record);
  try {
    noGrad(() =>
      scope(() => {
        const { predMasks } = autocast.run(() => model.call(images));
        if (predMasks !== undefined) maskLogits(predMasks);
      }),
    );
  } finally {
    remove();
  }
  return seen;
}

/**
 * Adds to each call of a trace the conversions that the model's own code makes before it under the training's autocast,
 * such as those to float32 of reference boxes.
 * @param size batch, height and width that the trace was made with
 * @throws ExportError if the model calls other operators under autocast
 */
export function markConversions(
  trace: Trace,
  model: TracedModel,
  size: readonly [batch: number, height: number, width: number],
  training: { policy: Policy; overrides: Overrides },
): Trace {
  const seen = watchAutocast(model, size, training);
  const made = new Map<TracedTensor, DType>();
  let at = 0;
  const mark = (call: TracedCall): TracedCall => {
    if (isConversion(call.op.name)) return call;
    const dtypes = seen[at++];
    if (dtypes?.op !== call.op.name)
      throw new ExportError(
        `Expected the same operators under autocast as in float32 but ${call.op} in ${call.module} became ${dtypes?.op ?? "none"}`,
      );
    const converted = new Map<TracedTensor, DType>();
    for (const [i, tensor] of tracedOf(call.args).entries()) {
      const before = (tensor.bits === null ? made.get(tensor) : undefined) ?? tensor.dtype;
      if (dtypes.args[i] !== before) converted.set(tensor, dtypes.args[i]);
    }
    for (const [i, result] of call.results.entries()) made.set(result, dtypes.results[i]);
    return converted.size === 0 ? call : { ...call, converted };
  };
  return { ...trace, calls: trace.calls.map(mark) };
}
