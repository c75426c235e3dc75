// What state.json of a checkpoint must hold, so that no damaged or foreign value reaches the run.
import { z } from "zod";
import { schemaFault } from "../../../support/files/schema-fault.js";

const count = z.number().int().nonnegative();
// JSON has no NaN or infinity: such a figure was written as null.
const figure = z.number().nullable();

const progress = z.object({
  epoch: count,
  stepInEpoch: count,
  step: count,
  applied: count,
  skipped: count,
  trainSeconds: z.number().nonnegative(),
  endSeconds: z.number().nonnegative().optional(),
  plannedSteps: count.optional(),
  epochSums: z.object({
    loss: figure,
    steps: count,
    images: count,
    seconds: z.number(),
    terms: z.record(z.string(), figure),
    norms: z.object({ sum: z.number(), steps: count }),
    metrics: z.record(z.string(), z.object({ sum: figure, steps: count })).optional(),
  }),
  best: z
    .object({
      figure,
      epoch: count,
      AP: figure,
      AP50: figure,
      masks: z.object({ AP: figure, AP50: figure }).optional(),
    })
    .nullable(),
  earlyStopping: z.object({ best: figure, waited: count }),
  scaler: z
    .object({
      scale: z.number(),
      growth: z.number(),
      backoff: z.number(),
      interval: count,
      goodSteps: count,
    })
    .nullable(),
  rollbacks: z.object({ inEpoch: count, undone: count, lrFactor: z.number() }).optional(),
  faults: z.object({ wasted: count, replays: count, since: count.nullable() }),
  callbacks: z
    .object({
      states: z.record(z.string(), z.json()),
      lrFactors: z.record(z.string(), z.number()),
      stopped: z.string().nullable(),
    })
    .optional(),
  finished: z.boolean(),
});

const state = z.object({
  progress,
  optimizerStep: count,
  emaUpdates: count.nullable(),
  settings: z.record(z.string(), z.unknown()),
});

/** The first value that is not of its kind, in words; null where all are. */
export const faultOfState = (value: unknown): string | null => schemaFault(state, value);
