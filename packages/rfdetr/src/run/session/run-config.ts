// What `config.json` of a run holds.
import type { Precision } from "@rfdetr/amp";
import { engine } from "@rfdetr/torch";
import { toFile } from "../../settings/resolve.js";
import { machineLine } from "../../support/machine.js";
import { packageVersion } from "../../support/version.js";
import type { Session } from "./session.js";

/** The content of `config.json`. */
export interface RunConfig {
  /** When the run was first started, ISO 8601. Absent in runs of earlier versions. */
  started?: string;
  /** By their names in files. */
  settings: Record<string, unknown>;
  seed: number;
  class_names: string[];
  model_config: Record<string, unknown>;
  precision: Precision;
  /** Why this precision. */
  reason: string;
  hardware: string;
  versions: { rfdetr: string; node: string; libtorch: string };
}

/** The configuration of a session that begins. */
export function runConfig(session: Session): RunConfig {
  return {
    ...(session.started === null ? {} : { started: session.started }),
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
