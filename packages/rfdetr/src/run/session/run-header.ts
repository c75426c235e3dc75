import { type HeaderRecord, numericsVersion } from "@rfdetr/amp";
import { engine, type Tensor } from "@rfdetr/torch";
import { toFile } from "../../settings/resolve.js";
import { machineLine } from "../../support/machine.js";
import { packageVersion } from "../../support/version.js";
import type { Ema } from "../../train/ema.js";
import type { StepParts } from "../../train/parts.js";
import type { RunConfig } from "./resume.js";
import type { Session } from "./session.js";

/** Bytes of what is float32 in every precision. */
function fixedBytes({ model, optimizer }: StepParts, ema: Ema | null): HeaderRecord["fixed_bytes"] {
  const bytes = (tensors: Iterable<Tensor>): number => [...tensors].reduce((sum, tensor) => sum + tensor.nbytes, 0);
  const weights = bytes(model.stateDict().values());
  const gradients = bytes(optimizer.parameters);
  return { weights, gradients, moments: 2 * gradients, average: ema === null ? 0 : weights };
}

/** First record of `numerics.jsonl`. */
export function numericsHeader({ precision, reason, parts, settings, ema, calibration }: Session): HeaderRecord {
  const { policy, overrides } = parts.autocast;
  const note = settings.notes === null ? null : JSON.stringify(settings.notes);
  return {
    v: numericsVersion,
    kind: "header",
    precision,
    reason,
    note,
    policy: policy.name,
    overrides: { ...overrides },
    hardware: machineLine(),
    monitor_interval: settings.monitorInterval,
    fixed_bytes: fixedBytes(parts, ema),
    ...(calibration === null ? {} : { calibration: calibration.precisions.map(({ modules: _, ...measured }) => measured) }),
  };
}

/** What `config.json` holds. */
export function runConfig(session: Session): RunConfig {
  return {
    settings: toFile(session.settings),
    seed: session.seed,
    class_names: [...session.data.classNames],
    model_config: { ...session.modelConfig },
    precision: session.precision,
    reason: session.reason,
    hardware: machineLine(),
    versions: { rfdetr: packageVersion(), node: process.version, libtorch: engine().version },
  };
}
