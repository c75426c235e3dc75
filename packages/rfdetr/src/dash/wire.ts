// What the server of the live page sends to it, as JSON. The scripts of the page take their types from here.

/** How a run stands. `running` and `paused`: a process holds it; `killed`: it ended without writing how. */
export type RunState = "running" | "paused" | "finished" | "interrupted" | "failed" | "killed";

/** A step in the words of the console. */
export interface StepWords {
  /** Time left and time of the end; null while that is not known, and while the run is paused. */
  left: string | null;
  /** How much of the epoch is done. */
  done: string;
  loss: string;
}

/** A run in the list. */
export interface RunRow {
  /** What addresses the run; it says nothing about its path. */
  id: string;
  /** The path of its folder, relative to the folder of the runs. */
  name: string;
  state: RunState;
  model: string | null;
  precision: string | null;
  /** The epoch of its last step, counted from 1; 0 before the first. */
  epoch: number;
  /** Epochs that it has steps for, the last one perhaps in part; null while its end is not planned. */
  epochs: number | null;
  step: number;
  /** The last step as it is planned; null where the records do not tell. */
  steps: number | null;
  /** How much of its steps it has taken, 0 to 1. */
  share: number;
  /** What the console of a run that trains says of its last step; null for any other. */
  now: StepWords | null;
  /** The best AP so far, 0 to 1: of masks where the model has them. */
  best: number | null;
  /** The epoch that `best` is of; null where nothing is found yet. */
  bestEpoch: number | null;
  /** Whether `best` and `curve` are of masks. */
  ofMasks?: true;
  /** AP by epoch, at most 48 points. */
  curve: (number | null)[];
  skipped: number;
  /** ISO 8601. */
  started: string | null;
  /** When one of its records was last written, in milliseconds since 1970. */
  written: number;
  /** What a failed run failed with. */
  error: string | null;
  /** Bytes of the records and time of the evaluation: what has changed since the page last asked. */
  versions: { steps: number; epochs: number; evaluation: number };
}

/** The change of the list since the last event. */
export interface RunsEvent {
  changed: RunRow[];
  removed: string[];
}

/** A run that is opened. */
export interface RunDetails {
  row: RunRow;
  /** What the files of the run do not say or say wrong, in words. */
  faults: string[];
  config: {
    settings: Record<string, unknown>;
    reason: string | null;
    hardware: string | null;
    seed: number | null;
    classes: string[];
    images: { train: number | null; valid: number | null };
  };
  /** Processes that made the last steps. */
  processes: number;
  /** Pictures in the folder of the run. */
  pictures: { file: string; kind: string; title: string; alt: string; width: number; height: number; epoch?: number }[];
  /** What can be asked of the run while it trains. */
  controls: Control[];
  /** The rules of precision that hold in it now, by pattern of modules. */
  overrides: Record<string, string>;
}

/** What can be asked of a run. */
export type Control = "stop" | "pause" | "go-on" | "override" | "undo";

/** A request that asks something of a run: `ControlCommand` of the run, as far as the page knows it. */
export type ControlRequest =
  | { command: Exclude<Control, "override"> }
  | { command: "override"; pattern: string; rule: string };

/** Rows of metrics.csv as columns; null where a row has no figure. */
export interface EpochColumns {
  /** Rows of the file; the columns begin at `from`. */
  rows: number;
  from: number;
  columns: Record<string, (number | null)[]>;
}

/** Steps, several to a point in a long run. Null stands for what is not finite. */
export interface StepColumns {
  /** Changes when points were joined or taken back: then all points are sent again. */
  generation: number;
  /** Steps in a full point. */
  size: number;
  /** The number of the first point that is sent. */
  from: number;
  /** The last step of each point. */
  step: number[];
  /** The mean over the applied steps of the point, and the extremes. */
  loss: (number | null)[];
  lossMin: (number | null)[];
  lossMax: (number | null)[];
  gradNorm: (number | null)[];
  lr: (number | null)[];
  scale: (number | null)[];
  /** The mean seconds of a step. */
  seconds: (number | null)[];
  /** Steps that were skipped. */
  skipped: number[];
  /** The peak of the tensor bytes. */
  peakBytes: (number | null)[];
}

/** The processes of a run. Null stands for what is not finite. */
export interface RankView {
  /** The first step that they made. */
  since: number;
  /** What to know of them, without full stops. */
  sentences: string[];
  /** The process that holds up the others. */
  slow: number | null;
  /** Means over the last steps, seconds and the gradient norm. */
  ranks: {
    rank: number;
    host: string;
    work: number | null;
    load: number | null;
    wait: number | null;
    gradNorm: number | null;
  }[];
  /** What the curves below are of: each process, or the extremes and the median of many. */
  labels: string[];
  /** The last step of each point. */
  step: number[];
  work: (number | null)[][];
  wait: (number | null)[][];
  gradNorm: (number | null)[][];
  /** In images. */
  noiseScale: (number | null)[];
}

/** What was not finite, and what was done. */
export interface Fault {
  kind: "overflow" | "rollback" | "control";
  step: number;
  module: string | null;
  operator: string | null;
  phase: string | null;
  scale: number | null;
  images: NamedImage[];
  /** What to do, or what was done. */
  advice: string[];
}

/** One side of a module over the watched steps: its outputs, or the gradients that arrived at them. */
export interface SideSeries {
  /** The dtypes of the values in the last watched step, separated by spaces. */
  dtype: string;
  /**
   * A letter for each watched step: in which dtype the largest value was. `h` float16, `b` bfloat16, `f` float32 or
   * wider, `-` not seen. A rule of precision may change it while the run goes on.
   */
  letters: string;
  /** log2 of the largest absolute value, in sixteenths; null where all is zero, `notFinite` for what has no log2. */
  top: (number | null)[];
  /** The share of values, in thousandths, that the dtype rounds to zero. */
  flushed: number[];
  /** The share of values, in thousandths, that float16 would round to zero, whatever the dtype. */
  flushed16: number[];
}

/** log2 of a value that is not finite, as {@link SideSeries} has it. */
export const notFinite = 32767;

/** A module over the watched steps. */
export interface ModuleSeries {
  path: string;
  forward: SideSeries | null;
  gradient: SideSeries | null;
}

/** The watched steps of a run. */
export interface WatchedSteps {
  /** Changes when steps were left out or taken back: then all are sent again. */
  generation: number;
  /** Watched steps of the run; in a long one several of them make one of `steps`. */
  records: number;
  /** The number of the first step that is sent; the series of the modules begin there too. */
  from: number;
  steps: number[];
  /** The loss scale of each. */
  scale: number[];
  modules: ModuleSeries[];
  faults: Fault[];
  /** The soonest first. */
  forecasts: Forecast[];
  header: {
    precision: string;
    reason: string;
    overrides: Record<string, string>;
    interval: number;
  } | null;
}

/** An image of the data. */
export interface NamedImage {
  file: string;
  /** What addresses it; null where the folder of the data is not known. */
  image: string | null;
}

/** The largest value of a module in a watched step, with what made it. */
export interface LargestValue {
  step: number;
  /** Null for what is not finite. */
  value: number | null;
  /** Where it stands in the tensor, by dimension. */
  index: number[];
  /** The image that made it; null where no single one did, or that is not known. */
  image: NamedImage | null;
}

/** A module that will overflow if it goes on to grow as it did. */
export interface Forecast {
  path: string;
  side: "forward" | "gradient";
  dtype: string;
  /** Bits that are left at the last watched step, and bits lost in one optimizer step. */
  headroom: number;
  bitsPerStep: number;
  /** Optimizer steps from the last watched step to overflow. */
  steps: number;
  /** The watched steps that this rests on: the first of them, and how many. */
  basis: { first: number; records: number };
}

/** The values of one side of a module by binary exponent, over the watched steps. */
export interface ExponentMap {
  path: string;
  side: "forward" | "gradient";
  /** The exponent of the first row: it counts values from 2^first on. */
  first: number;
  rows: number;
  steps: number[];
  /** For each step the largest absolute value as it was recorded; null for what was not seen or is not finite. */
  amax: (number | null)[];
  /** For each step the shares of the values, in sixteenths of log2 below 1 (0 is all of them), −1 for none. */
  shares: number[][];
  /** The largest value of each watched step, the largest of all first; empty where the records do not tell. */
  largest: LargestValue[];
}

/** A box as left, top, right, bottom in pixels of the image. */
export type WireBox = [number, number, number, number];

/** The last evaluation of a run. */
export interface EvaluationView {
  origin: { split: string | null; epoch: number | null } | null;
  AP: number | null;
  AP50: number | null;
  /** Of the masks, where the model has them. */
  masks?: { AP: number | null; AP50: number | null };
  /** The score from which detections are best taken, over all classes: by the masks, where the model has them. */
  threshold: number | null;
  classes: {
    name: string;
    /** `#rrggbb` */
    color: string;
    /** What is readable on the colour. */
    ink: string;
    instances: number;
    AP: number | null;
    AP50: number | null;
    /** Of the masks, where the model has them. */
    maskAP?: number | null;
    maskAP50?: number | null;
    /** By the masks, where the model has them. */
    best: { threshold: number; precision: number; recall: number; f1: number } | null;
  }[];
  images: {
    /** What addresses the image; null where it cannot be shown. */
    image: string | null;
    file: string | null;
    width: number | null;
    height: number | null;
    /** The kinds of error that it is among the worst for. */
    worst: { kind: string; rank: number }[];
    truths: { box: WireBox; label: number; state: string }[];
    detections: { box: WireBox; label: number; score: number; state: string; truth: number | null }[];
  }[];
}
