// The settings of precision, of what is watched, and of values that are not finite.
import { castRules, moduleRules, numberFormatNames, policyNames } from "@rfdetr/amp/names";
import { z } from "zod";
import { memoryUses } from "../model/types.js";
import { either } from "../support/format.js";
import { moduleRule, precisionChanges } from "./precision-changes.js";
import { precisionNames, precisionWords } from "./precision-words.js";
import { count, countOrZero, type Setting } from "./setting.js";

const quoted = (name: string): string => `"${name}"`;

/** Just below the largest float32: the loss scale is one. */
const largestScale = 3.4e38;
/** The smallest float16 above 0: with a smaller scale, the gradients of a loss of 1 are all 0 in it. */
const smallestScale = 2 ** -24;

/** As {@link settings}, which holds them too. */
export const precisionSettings = {
  amp: {
    type: z.union([z.boolean(), z.literal("calibrate")]),
    fallback: true,
    about:
      "mixed precision; true leaves the kind of it to precision and amp_dtype, which may also say 32-true; false is 32-true; calibrate measures every precision on the first batch before the run and uses the best",
  },
  amp_dtype: {
    type: z.enum(["auto", "bf16", "fp16"]).nullable(),
    fallback: "auto",
    about: "low-precision type of mixed precision; null is 32-true",
    means: { bfloat16: "bf16", "bf16-mixed": "bf16", float16: "fp16", half: "fp16", "16-mixed": "fp16" },
    differs: "auto is bf16 also on CPUs with AVX2 or bf16 units, where the package trains in float32",
    without: { fp8: "there are no fp8 kernels; number_format fp8 emulates what they would compute" },
  },
  precision: {
    type: z.enum(precisionNames),
    fallback: "auto",
    about: "precision of training; any value other than auto decides, and amp and amp_dtype must not contradict it",
    means: precisionWords,
    ours: true,
  },
  monitor_interval: {
    type: z.union([countOrZero, z.literal("auto")]),
    fallback: "auto",
    about:
      "steps between records of activations and gradients in numerics.jsonl; auto is a fortieth of the planned steps, between 10 and 200; 0 records none",
    ours: true,
  },
  precision_overrides: {
    type: z.record(z.string(), moduleRule),
    fallback: {},
    takes: `an object of "module path": ${either(moduleRules.map(quoted))}`,
    about: "precision of the modules whose path matches a pattern",
    ours: true,
  },
  precision_changes: {
    type: precisionChanges,
    fallback: [],
    takes:
      'a list of {"step", "pattern", "rule"} and {"step", "undo": true}, with steps from 1 that do not become smaller',
    about:
      "changes to precision_overrides while the run trains, each with the first step that it holds for; a command to the running run adds to them, so that the settings of a run repeat it to the bit",
    ours: true,
  },
  precision_policy: {
    type: z.enum(policyNames),
    fallback: "default",
    about: "table that tells autocast what to do with each operator",
    ours: true,
  },
  precision_operators: {
    type: z.record(z.string(), z.enum(castRules)),
    fallback: {},
    takes: `an object of "operator": ${either(castRules.map(quoted))}`,
    about: "changes to rows of precision_policy, by the operator's name in libtorch",
    ours: true,
  },
  number_format: {
    type: z.enum(numberFormatNames).nullable(),
    takes: either(numberFormatNames.map(quoted)),
    fallback: null,
    about:
      "number format that the linear layers are computed in, forward and backward, as hardware with such units would: emulated to the bit and slow, to see whether a detector could be trained in it; rules of fp32 in precision_overrides except modules",
    ours: true,
  },
  scaler: {
    type: z.strictObject({
      init: z.number().min(smallestScale).max(largestScale).optional(),
      growth: z.number().gt(1).max(largestScale).optional(),
      backoff: z.number().gt(0).lt(1).optional(),
      interval: count.optional(),
    }),
    fallback: {},
    takes:
      "an object of init (6e-8 or more) and growth (above 1), both up to 3.4e38, backoff (between 0 and 1) and interval (positive integer)",
    about:
      "loss scaler of 16-mixed; defaults: init 65536, growth 2 after interval 2000 finite steps, backoff 0.5 after a step that is not finite",
    ours: true,
  },
  on_non_finite: {
    type: z.enum(["skip", "stop", "rollback"]),
    fallback: "skip",
    about:
      "what to do when a loss or gradient is not finite: skip the step, stop the run, or go back to the last checkpoint of a healthy state with half the learning rate (a tenth of it each further time in an epoch); a step that overflows only because of the loss scale is always skipped",
    ours: true,
  },
  threads: {
    type: count.nullable(),
    most: 1024,
    fallback: null,
    about: "threads to compute with; null takes one for each core that the process may use, by affinity and quota",
    ours: true,
  },
  fp16_eval: {
    type: z.boolean(),
    fallback: false,
    about: "obsolete: evaluate under float16 autocast with norm layers in float32",
  },
  optimizer_state: {
    type: z.enum(["float32", "8bit"]),
    fallback: "float32",
    about:
      "how the optimizer keeps its two moments: 8bit takes a quarter of the memory, with a scale for every 256 values; tensors with fewer than 4096 values stay in float32",
    means: { fp32: "float32", "32bit": "float32", int8: "8bit", adamw8bit: "8bit", adamw_8bit: "8bit" },
    ours: true,
  },
  memory: {
    type: z.enum(memoryUses),
    fallback: "default",
    about:
      "what backward computes again instead of keeping it: lean the heads of the selected proposals and the embedding of the reference boxes, leanest also the hidden layers of the MLPs; doctor measures what each saves and costs; gradient_checkpointing recomputes whole layers",
    ours: true,
  },
  gradient_checkpointing: {
    type: z.boolean(),
    fallback: false,
    about:
      "recompute the activations of encoder and decoder layers in backward instead of keeping them: less memory, more time",
    differs: "covers the decoder too, where the package covers the encoder only",
  },
} as const satisfies Record<string, Setting>;
