// The interface of the addon: numbers for tensors ("handles"), plain values for the rest. Only this package sees it.
import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { usableCores } from "./cores/index.js";
import type { DType } from "./dtype.js";
import { EngineError } from "./errors.js";

/** A tensor in the addon's table. */
export type Handle = number;

/** What the recorder stores for one thread: rows of numbers, and the names and shapes that they point into. */
export interface RecordedThread {
  events: Float64Array;
  names: string[];
  shapes: Float64Array;
  dropped: number;
}

export interface Native {
  call(operator: number, ...args: unknown[]): unknown;
  findOperator(name: string, overload: string): number;
  operatorSchema(
    operator: number,
  ): [arguments: [name: string, kind: string, optional: boolean, hasDefault: boolean][], results: string[]];
  schemas(): string[];

  shape(tensor: Handle): number[];
  strides(tensor: Handle): number[];
  dtype(tensor: Handle): DType;
  device(tensor: Handle): string;
  isContiguous(tensor: Handle): boolean;
  version(tensor: Handle): number;
  item(tensor: Handle): number;
  fromBytes(bytes: NodeJS.TypedArray, shape: readonly number[], dtype: DType): Handle;
  copyBytes(tensor: Handle, bytes: NodeJS.TypedArray, toTensor: boolean): NodeJS.TypedArray;
  release(tensor: Handle): void;

  backward(roots: Handle[], gradients: (Handle | null)[] | null, retainGraph: boolean, createGraph: boolean): void;
  gradients(
    outputs: Handle[],
    inputs: Handle[],
    outputGradients: (Handle | null)[] | null,
    retainGraph: boolean,
    createGraph: boolean,
    allowUnused: boolean,
  ): (Handle | null)[];
  setGradEnabled(enabled: boolean): boolean;
  isGradEnabled(): boolean;
  requiresGrad(tensor: Handle): boolean;
  setRequiresGrad(tensor: Handle, requiresGrad: boolean): void;
  isLeaf(tensor: Handle): boolean;
  grad(tensor: Handle): Handle | null;
  setGrad(tensor: Handle, gradient: Handle | null): void;
  registerHook(tensor: Handle, fn: (gradient: Handle) => Handle | undefined): number;
  removeHook(hook: number): void;
  graphNode(inputs: Handle[], outputs: Handle[], fn: (...gradients: (Handle | null)[]) => (Handle | null)[]): Handle[];

  engineVersion(): string;
  capability(): string;
  kernelIsa(): "baseline" | "avx2" | "avx512";
  hasCuda(): boolean;
  setThreads(threads: number): void;
  /** For every thread that has not set its own; the first call of the process counts. */
  setDefaultThreads(threads: number): void;
  getThreads(): number;
  manualSeed(seed: number): void;
  generatorState(device: string): Handle;
  setGeneratorState(device: string, state: Handle): void;
  memory(device: string): [liveTensors: number, liveBytes: number, peakBytes: number];
  deviceMemory(device: string): [free: number, total: number, held: number, peakHeld: number];
  resetPeak(device: string): void;
  releaseCached(device: string): number;
  setTf32(on: boolean): void;
  isTf32(): boolean;

  joinGroup(
    rank: number,
    size: number,
    address: string,
    port: number,
    isStoreServer: boolean,
    storeFd: number,
    prefix: string,
    timeoutMilliseconds: number,
    networkInterface: string,
    device: string,
  ): void;
  /** Compares what all ranks are about to do. @returns the largest `length` */
  checkGroup(what: string, detail: string, length: number): number;
  broadcast(tensors: Handle[], from: number): void;
  allReduce(tensors: Handle[], op: "sum" | "max" | "min"): void;
  allGather(tensor: Handle): Handle[];
  abortGroup(): void;
  leaveGroup(): void;
  exitNow(code: number): never;
  storeSet(key: string, value: string): void;
  storeGet(key: string): string;
  storeTryGet(key: string): string | null;
  makeReducer(parameters: Handle[], names: string[], bucketBytes: number, compress: boolean): number;
  prepareReducer(reducer: number, loss: Handle): void;
  lastReduction(reducer: number): [bytes: number, localNorm: number, first: number, last: number, wait: number];
  freeReducer(reducer: number): void;

  profileStart(shapes: boolean): void;
  profileStop(): { nanoseconds: number; threads: RecordedThread[] };
  /** Opens a span with a caller-chosen id; `profileLeave` closes the innermost. Does nothing unless profiling. */
  profileEnter(id: number): void;
  profileLeave(): void;
}

/** Undefined where a bundler made CommonJS. */
const here: string | undefined = import.meta.url;

/**
 * How many bytes a library lacks at its end, by the table that ends every ELF file; 0 for other formats. The system
 * does not look: it ends the process at the first byte that is not there.
 * @internal for tests
 */
export function missingBytes(path: string): number {
  const file = openSync(path, "r");
  try {
    const header = Buffer.alloc(64);
    const isElf = readSync(file, header, 0, 64, 0) === 64 && header.toString("latin1", 0, 5) === "\x7fELF\x02";
    const end = Number(header.readBigUInt64LE(40)) + header.readUInt16LE(58) * header.readUInt16LE(60);
    return isElf ? Math.max(0, end - fstatSync(file).size) : 0;
  } finally {
    closeSync(file);
  }
}

function load(): Native {
  // In a bundle the folders around this module are others.
  if (process.env.RFDETR_ADDON === undefined && !/\/native\.[jt]s$/.test(here ?? ""))
    throw new EngineError("The engine is not found, because a bundler has moved the code away from it", {
      hint: "Keep rfdetr, @rfdetr/amp and @rfdetr/torch external: list them as such in the bundler's settings",
    });
  const path = process.env.RFDETR_ADDON ?? fileURLToPath(new URL("../build/torch.node", here));
  if (!existsSync(path)) throw new EngineError(`The engine is not built: ${path} is missing`);
  const missing = missingBytes(path);
  if (missing > 0) throw new EngineError(`The engine at ${path} is cut off: its last ${missing} bytes are missing`);
  try {
    return createRequire(here ?? path)(path) as Native;
  } catch (error) {
    throw new EngineError(`Could not load the engine at ${path}: ${(error as Error).message}`, { cause: error });
  }
}

export const native: Native = load();

const variable = ["OMP_NUM_THREADS", "MKL_NUM_THREADS"].find((name) => process.env[name] !== undefined);
/** What decides how many threads an operator may use until somebody sets it. */
export const threadsReason: string = variable ?? usableCores().reason;
// libtorch counts the cores of the affinity, and knows nothing of the quotas of control groups.
if (variable === undefined) native.setDefaultThreads(usableCores().threads);
