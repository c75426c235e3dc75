// Obeys the commands that other processes give to a run in progress, and makes the changes of precision that its
// settings ask for, each between two steps.
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { ModuleRule } from "@rfdetr/amp";
import { overridesSet, type PrecisionChange } from "../../settings/precision-changes.js";
import { CustomCodeError, RfdetrError } from "../../support/errors.js";
import type { ControlEvent, TrainEvent } from "../events/events.js";
import type { Recorder } from "../recorders/recorder.js";
import { addChange, checkChange, nextOverrides, useNextOverrides } from "../session/overrides.js";
import type { Session } from "../session/session.js";
import { stepsLeft } from "../steps/progress.js";
import type { ControlRequest, ControlState } from "./control-files.js";
import { ControlInbox } from "./control-inbox.js";

/** Milliseconds between two looks for a command while the run is paused. */
const interval = 50;

/** What a run needs to be controlled. */
interface Controls {
  recorders: readonly Recorder[];
  /** Whether this process was asked to end the run. */
  interrupted: () => boolean;
  /** Writes a checkpoint. */
  save: () => Iterable<TrainEvent>;
}

/** The answer to a command: what the run does, or why it does not. */
type Outcome = { done: string } | { refused: string };

/** What the event says of a command that the run obeys. */
type ObeyedCommand = Pick<ControlEvent, "command" | "by" | "message"> & { pattern?: string; rule?: string };

/** The commands to a run. */
export class RunControl {
  readonly #inbox: ControlInbox | null;
  #paused = false;
  #stopping = false;
  /** Whether the run is known to end before its next step. */
  #isOver = false;
  #events: ControlEvent[] = [];

  constructor(
    readonly session: Session,
    readonly controls: Controls,
  ) {
    this.#inbox = openInbox(session);
    this.#show();
  }

  close(): void {
    this.#inbox?.close();
  }

  /** Whether the run is to end, because of this process or of a command. */
  get stopping(): boolean {
    return this.#stopping || this.controls.interrupted();
  }

  /** Looks for a command to end the run, within an evaluation. @returns whether it is to end */
  lookForStop(): boolean {
    const request = this.#inbox?.take(({ command }) => command === "stop") ?? null;
    if (request !== null) this.#answer(request, this.#stop());
    return this.stopping;
  }

  /**
   * Between two steps: makes the changes that hold from the next one, obeys commands, and waits while the run is
   * paused.
   * @returns whether it waited
   */
  async *betweenSteps(): AsyncGenerator<TrainEvent, boolean> {
    yield* this.obeyCallbacks();
    this.#scheduled();
    yield* this.told();
    let waited = false;
    while (!this.stopping) {
      const request = this.#inbox?.take() ?? null;
      if (request !== null) yield* this.#obey(request);
      else if (!this.#paused) break;
      else {
        waited = true;
        this.session.leader.wait();
        await sleep(interval);
      }
    }
    return waited;
  }

  /**
   * Makes the changes that callbacks asked for, and tells of them.
   * @param isOver whether the run ends here
   * @throws CustomCodeError for one that cannot be
   */
  *obeyCallbacks(isOver = false): Generator<TrainEvent> {
    const { callbacks, progress, warnings } = this.session;
    this.#isOver = isOver || callbacks?.stopped != null;
    for (const request of callbacks?.takeRequests() ?? []) {
      const { name } = request;
      const by = "callback";
      if ("stop" in request)
        this.#tell({
          command: "stop",
          by,
          message: `${name} ends the run after step ${progress.step}: ${request.stop}`,
        });
      else if ("lrFactor" in request) {
        const message = `${this.#from(progress.step + 1)}, ${name} multiplies the learning rate by ${request.lrFactor}`;
        this.#tell({ command: "lr", by, message });
      } else {
        const outcome = this.#override(name, request.override);
        if ("refused" in outcome) warnings.push(`The override that ${name} asks for is left out: ${outcome.refused}`);
      }
    }
    this.#show();
    yield* this.told();
  }

  #override(name: string, override: { pattern: string; rule: ModuleRule }): Outcome {
    const change = { step: this.session.progress.step + 1, ...override };
    // A run that was killed after it wrote the change down comes here again.
    const { precisionChanges } = this.session.settings;
    if (precisionChanges.some((made) => isDeepStrictEqual(made, change))) return { done: "" };
    try {
      return this.#change(change, "callback");
    } catch (error) {
      if (!RfdetrError.is(error)) throw error;
      throw new CustomCodeError(`The override that the callbacks ${name} ask for cannot be: ${error.message}`, {
        cause: error,
      });
    }
  }

  /** Tells of the commands that were obeyed since the last time. */
  *told(): Generator<ControlEvent> {
    yield* this.#events.splice(0);
  }

  /** The changes that the settings have for the next step: those of a run that is repeated, or resumed before them. */
  #scheduled(): void {
    const { settings, progress } = this.session;
    const due = settings.precisionChanges.filter(({ step }) => step === progress.step + 1);
    if (due.length === 0) return;
    useNextOverrides(this.session);
    for (const change of due) this.#tellChange(change, "settings");
    this.#show();
  }

  *#obey(request: ControlRequest): Generator<TrainEvent> {
    let outcome: Outcome;
    try {
      outcome = request.command === "pause" ? yield* this.#pause() : this.#do(request);
    } catch (error) {
      // A pattern that matches no module, or a disk that is full: the run itself is well.
      if (!RfdetrError.is(error)) throw error;
      outcome = { refused: error.message };
    }
    this.#show();
    this.#answer(request, outcome);
    yield* this.told();
  }

  #do(request: ControlRequest): Outcome {
    const { progress } = this.session;
    if (request.command === "stop") return this.#stop();
    if (request.command === "go-on") {
      if (!this.#paused) return { refused: "The run is not paused" };
      this.#paused = false;
      return this.#tell({ command: "go-on", by: "command", message: `The run goes on after step ${progress.step}` });
    }
    const step = progress.step + 1;
    return this.#change(
      request.command === "override" ? { step, pattern: request.pattern, rule: request.rule } : { step, undo: true },
    );
  }

  #stop(): Outcome {
    this.#stopping = true;
    const message = `The run saves and ends after step ${this.session.progress.step}`;
    return this.#tell({ command: "stop", by: "command", message });
  }

  *#pause(): Generator<TrainEvent, Outcome> {
    const { step } = this.session.progress;
    if (this.#paused) return { refused: `The run is paused already, after step ${step}` };
    yield* this.controls.save();
    this.#paused = true;
    return this.#tell({ command: "pause", by: "command", message: `The run is paused after step ${step}` });
  }

  #change(change: PrecisionChange, by: ControlEvent["by"] = "command"): Outcome {
    const { settings, parts, precision } = this.session;
    const { precisionChanges } = settings;
    const later = precisionChanges.at(-1);
    if (parts.autocast.dtype === null)
      return { refused: `The run trains in ${precision}, which has no low precision that could be overridden` };
    if (later !== undefined && later.step > change.step)
      return { refused: `precision_changes of the run's settings has another change at step ${later.step}` };
    if ("undo" in change && overridesSet(precisionChanges) === 0)
      return { refused: "There is no override to take back: none was set since the run began" };
    if ("pattern" in change) checkChange(parts.model, change);
    addChange(this.session, change);
    useNextOverrides(this.session);
    return this.#tellChange(change, by);
  }

  #tellChange(change: PrecisionChange, by: ControlEvent["by"]): Outcome {
    if ("undo" in change)
      return this.#tell({
        command: "undo",
        by,
        message: `${this.#from(change.step)}, the last override is taken back`,
      });
    const { step, pattern, rule } = change;
    const message = `${this.#from(step)}, the rule of ${pattern} is ${rule}`;
    return this.#tell({ command: "override", by, pattern, rule, message });
  }

  /** From which step on a change holds. A checkpoint keeps it, so it counts where an ended run is continued. */
  #from(step: number): string {
    const isOver = this.#isOver || stepsLeft(this.session) <= 0;
    return `${isOver ? "Where the run trains on, from" : "From"} step ${step} on`;
  }

  /** Has a command recorded, and its event told. */
  #tell(obeyed: ObeyedCommand): Outcome {
    const { step } = this.session.progress;
    const event: ControlEvent = { type: "control", step, paused: this.#paused, overrides: this.#overrides, ...obeyed };
    for (const recorder of this.controls.recorders) recorder.control?.(event);
    this.#events.push(event);
    return { done: obeyed.message };
  }

  get #overrides(): ControlEvent["overrides"] {
    return { ...nextOverrides(this.session) };
  }

  #state(): Omit<ControlState, "session"> {
    const { progress, settings } = this.session;
    const undoable = overridesSet(settings.precisionChanges);
    return { paused: this.#paused, step: progress.step, overrides: this.#overrides, undoable };
  }

  #show(): void {
    this.#inbox?.show(this.#state());
  }

  #answer(request: ControlRequest, outcome: Outcome): void {
    const said =
      "done" in outcome ? { accepted: true, message: outcome.done } : { accepted: false, message: outcome.refused };
    this.#inbox?.answer(request, { ...this.#state(), ...said });
  }
}

/** A run whose folder takes no commands goes on without them. */
function openInbox({ directory, warnings }: Session): ControlInbox | null {
  try {
    return new ControlInbox(directory.path);
  } catch (error) {
    if (!RfdetrError.is(error)) throw error;
    warnings.push(error.message);
    return null;
  }
}
