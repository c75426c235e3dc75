// What passes between the CPU and a device while something runs. The device is `meta`: its tensors have no values, and
// reading them gives zeros here.
import { type Call, intercept, type Next, Tensor, zeros } from "@rfdetr/torch";

/** Calls by the file that made them, such as `loss/matcher.ts`, in order and with repetitions. */
export interface Traffic {
  /** Readings of values, each of which waits for all that the device has to do. */
  reads: string[];
  /** Copies to the device; the caller goes on meanwhile. */
  uploads: string[];
  /** Operators whose result has a shape that only the device knows, so that they wait too. */
  waits: string[];
  /** Operators that received tensors of the CPU and of the device, scalars aside. */
  mixed: string[];
}

const shapedByValues = /^(nonzero|masked_select|unique|_unique|unique_dim|bincount|repeat_interleave|is_nonzero|equal)/;

/** Runs `body` and lists its traffic with `device`. */
export function trafficWith(device: string, body: () => void): Traffic {
  const traffic: Traffic = { reads: [], uploads: [], waits: [], mixed: [] };
  const onDevice = (value: unknown): boolean => value instanceof Tensor && value.device === device;
  const onCpu = (value: unknown): boolean => value instanceof Tensor && value.device === "cpu";
  const { item, toBits } = Tensor.prototype;
  Tensor.prototype.item = function (this: Tensor) {
    if (!onDevice(this)) return item.call(this);
    traffic.reads.push(caller());
    return 0;
  };
  Tensor.prototype.toBits = function (this: Tensor) {
    if (!onDevice(this)) return toBits.call(this);
    traffic.reads.push(caller());
    return toBits.call(zeros(this.shape, { dtype: this.dtype }));
  };
  const watch = ({ op, args }: Call, next: Next): unknown => {
    const tensors = args.flat();
    if (op.base === "_to_copy" || op.base === "copy_") {
      const [first, second] = tensors;
      const [to, from] = op.base === "copy_" ? [(first as Tensor).device, second] : [args[3], first];
      if (onDevice(from) && to === "cpu") {
        traffic.reads.push(caller());
        const { shape, dtype } = from as Tensor;
        return zeros(shape, { dtype });
      }
      if (onCpu(from) && to === device) traffic.uploads.push(caller());
      return next(args);
    }
    if (tensors.some(onDevice)) {
      const byMask = op.base.startsWith("index") && tensors.some((t) => onDevice(t) && (t as Tensor).dtype === "bool");
      if (shapedByValues.test(op.base) || byMask) traffic.waits.push(`${op.base} in ${caller()}`);
      if (op.results.some((kind) => !kind.startsWith("Tensor"))) traffic.reads.push(caller());
      if (tensors.some((t) => onCpu(t) && (t as Tensor).ndim > 0)) traffic.mixed.push(`${op.base} in ${caller()}`);
    }
    return next(args);
  };
  const remove = intercept(watch);
  try {
    body();
  } finally {
    remove();
    Object.assign(Tensor.prototype, { item, toBits });
  }
  return traffic;
}

/** The file that called into `@rfdetr/torch`, from its source folder on. */
function caller(): string {
  Error.stackTraceLimit = 60;
  for (const line of (new Error().stack ?? "").split("\n")) {
    const [, file] = /packages\/(?:rfdetr|amp)\/(?:src|dist)\/([\w/.-]+?\.[jt]s)/.exec(line) ?? [];
    if (file !== undefined && !file.startsWith("testing/")) return file.replace(/\.js$/, ".ts");
    const [, torch] = /packages\/torch\/(?:src|dist)\/(optim\/[\w-]+\.[jt]s)/.exec(line) ?? [];
    if (torch !== undefined) return torch.replace(/\.js$/, ".ts");
  }
  return "elsewhere";
}

/** How often each entry is in a list. */
export function counted(list: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const entry of list) counts[entry] = (counts[entry] ?? 0) + 1;
  return counts;
}
