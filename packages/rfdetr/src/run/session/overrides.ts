// The precision of single modules, which may change between two steps of a run.
import { checkOverrides, type Overrides } from "@rfdetr/amp";
import type { RFDETRModel } from "../../model/rfdetr.js";
import { overridesAt, type PrecisionChange } from "../../settings/precision-changes.js";
import type { TrainSettings } from "../../settings/settings.js";
import { useOverrides } from "./build-training.js";
import { readRunConfig } from "./run-config.js";
import type { Session } from "./session.js";

/** @throws PolicyError for a change of the settings whose pattern matches no module of the model */
export function checkPrecisionChanges(model: RFDETRModel, { precisionChanges }: TrainSettings): void {
  for (const change of precisionChanges) if ("pattern" in change) checkChange(model, change);
}

/** @throws PolicyError for a pattern that matches no module of the model */
export function checkChange(
  model: RFDETRModel,
  { pattern, rule }: Extract<PrecisionChange, { pattern: string }>,
): void {
  model.name("");
  checkOverrides(
    { [pattern]: rule },
    [...model.namedModules()].map(([, module]) => module.path),
  );
}

/** The overrides that hold for the next step of a session. */
export const nextOverrides = ({ settings, progress }: Pick<Session, "settings" | "progress">): Overrides =>
  overridesAt(settings, progress.step + 1);

/** Makes the overrides of the next step hold, in training and in evaluation, in all processes. */
export function useNextOverrides(session: Session): void {
  const overrides = nextOverrides(session);
  useOverrides(session, overrides);
  session.leader.order({ do: "override", overrides });
}

/**
 * Adds a change to the settings of a run, on disk first: whatever happens afterwards, a resumed run makes it at the
 * same step.
 * @throws RunDirectoryError when it cannot be written; then nothing has changed
 */
export function addChange(session: Session, change: PrecisionChange): void {
  const { directory, settings } = session;
  const precisionChanges = [...settings.precisionChanges, change];
  const config = readRunConfig(directory);
  directory.writeJson("config.json", {
    ...config,
    settings: { ...config.settings, precision_changes: precisionChanges },
  });
  session.settings = { ...settings, precisionChanges };
}
