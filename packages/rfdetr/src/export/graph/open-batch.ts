// An open batch size: two traces with different batch sizes show which numbers follow it.
import { ExportError } from "../../support/errors.js";
import type { Dim } from "./graph.js";
import { isTraced, type Trace, type TracedArgument, type TracedTensor } from "./trace.js";

/**
 * Joins traces of the same model with batches of two sizes to one in which the batch is open. A number that differs
 * becomes the multiple of the batch that it is; a constant that differs is no constant.
 * @param sizes batch sizes of both traces, not 1
 * @throws ExportError if the traces differ in anything that is not a multiple of the batch
 */
export function openBatch(first: Trace, second: Trace, sizes: readonly [number, number]): Trace {
  const joined = new Map<TracedTensor, TracedTensor>();
  const dim = (a: Dim, b: Dim, where: string): Dim => {
    if (a === b) return a;
    const times = Number(a) / sizes[0];
    if (times !== Number(b) / sizes[1] || !Number.isInteger(times))
      throw new ExportError(`Expected a number that grows with the batch in ${where} but found ${a} and ${b}`);
    return { batch: times };
  };
  const tensor = (a: TracedTensor, b: TracedTensor, where: string): TracedTensor => {
    const known = joined.get(a);
    if (known !== undefined) return known;
    const shape = a.shape.map((size, i) => dim(size, b.shape[i], where));
    const made = { ...a, shape, bits: isSame(a, b) ? a.bits : null };
    joined.set(a, made);
    return made;
  };
  const argument = (a: TracedArgument, b: TracedArgument, where: string): TracedArgument => {
    if (isTraced(a) && isTraced(b)) return tensor(a, b, where);
    if (Array.isArray(a) && Array.isArray(b)) return a.map((each, i) => argument(each, b[i], where));
    return typeof a === "number" && typeof b === "number" ? dim(a, b, where) : a;
  };
  const images = tensor(first.images, second.images, "the images");
  const calls = first.calls.map((call, i) => {
    const other = second.calls[i];
    const where = `${call.op} in ${call.module}`;
    if (call.op !== other.op) throw new ExportError(`Expected the same operators for every batch but ${where} differs`);
    return {
      ...call,
      args: call.args.map((value, j) => argument(value, other.args[j], where)),
      results: call.results.map((result, j) => tensor(result, other.results[j], where)),
    };
  });
  return {
    images,
    calls,
    boxes: tensor(first.boxes, second.boxes, "the boxes"),
    logits: tensor(first.logits, second.logits, "the logits"),
    masks: first.masks && second.masks && tensor(first.masks, second.masks, "the masks"),
  };
}

/** Whether both are the same constant. Parameters are: both traces have the same model. */
function isSame(a: TracedTensor, b: TracedTensor): boolean {
  if (a.bits === null || b.bits === null) return false;
  if (a.key !== null) return true;
  const [x, y] = [a.bits(), b.bits()];
  return (
    x.length === y.length &&
    Buffer.from(x.buffer, x.byteOffset, x.byteLength).equals(Buffer.from(y.buffer, y.byteOffset, y.byteLength))
  );
}
