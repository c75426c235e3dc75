// What can be asked of a run that trains.
import { z } from "zod";
import { type ControlCommand, controlState, requestControl } from "../../run/control/control.js";
import { moduleRule } from "../../settings/precision-changes.js";
import { expected, RunDirectoryError, UsageError } from "../../support/errors.js";
import type { Control } from "../wire.js";
import type { RunFolder } from "./run-folders.js";

const command: z.ZodType<ControlCommand> = z.union([
  z.object({ command: z.enum(["pause", "go-on", "stop", "undo"]) }),
  z.object({ command: z.literal("override"), pattern: z.string().min(1).max(1000), rule: moduleRule }),
]);

/** The state of a run in progress, as far as it tells. */
export function liveState({ path }: RunFolder): "running" | "paused" {
  return controlState(path)?.paused ? "paused" : "running";
}

/** What can be asked of a run now: nothing of one that is not in progress, or that cannot be reached. */
export function controlsOf({ path }: RunFolder): { controls: Control[]; overrides: Record<string, string> } {
  const state = controlState(path);
  if (state === null) return { controls: [], overrides: {} };
  return {
    controls: [
      state.paused ? "go-on" : "pause",
      "override",
      ...(state.undoable > 0 ? (["undo"] as const) : []),
      "stop",
    ],
    overrides: state.overrides,
  };
}

/**
 * Asks something of a run, and waits for the end of the step that it is at.
 * @returns what the run does, in words
 * @throws UsageError for what cannot be asked @throws RunDirectoryError where the run does not obey
 */
export async function controlRun({ path }: RunFolder, request: unknown): Promise<string> {
  const { data } = command.safeParse(request);
  if (data === undefined) throw new UsageError(expected("a command to a run", "the request", request));
  const { accepted, message } = await requestControl(path, data);
  if (!accepted) throw new RunDirectoryError(message);
  return message;
}
