// Calls the callbacks of a run, checks what they answer, and keeps what follows from it.
import { z } from "zod";
import { moduleRule } from "../../settings/precision-changes.js";
import { CustomCodeError } from "../../support/errors.js";
import { schemaFault } from "../../support/files/schema-fault.js";
import { reasonOf } from "../../support/files/system-error.js";
import type { CheckpointEvent, EpochEvent, StartEvent } from "../events/events.js";
import type { SavedCallbacks } from "../files/checkpoint/checkpoint.js";
import type { RunSummary } from "../files/run-directory.js";
import { Waits } from "../waits.js";
import type {
  CallbackAnswer,
  CallbackEvaluation,
  CallbackStep,
  EpochStart,
  JsonValue,
  TrainCallbacks,
} from "./train-callbacks.js";

type NamedCallbacks = TrainCallbacks & { name: string };
type Hook = Exclude<keyof TrainCallbacks, "name" | "state" | "load">;

/** Figures by their names in records. */
export type Metrics = Record<string, number>;

/** A change that a callback asked for, by its name. */
export type CallbackRequest = { name: string } & (
  | { lrFactor: number }
  | { override: NonNullable<CallbackAnswer["override"]> }
  | { stop: string }
);

const answer = z
  .strictObject({
    metrics: z
      .record(
        z.string().regex(/^[\w.@/-]+$/),
        z.custom<number>((value) => typeof value === "number"),
      )
      .optional(),
    lrFactor: z.number().nonnegative().optional(),
    override: z.strictObject({ pattern: z.string().min(1), rule: moduleRule }).optional(),
    stop: z.string().min(1).optional(),
  })
  .nullish();
const json = z.json();

/** The callbacks of a run, in the process that keeps its files. */
export class CallbackRunner {
  readonly #callbacks: readonly NamedCallbacks[];
  readonly #waits: Waits;
  readonly #factors = new Map<string, number>();
  #requests: CallbackRequest[] = [];
  #stopped: string | null = null;

  /** @param waits watches what the methods return */
  constructor(callbacks: readonly NamedCallbacks[], waits = new Waits()) {
    this.#callbacks = callbacks;
    this.#waits = waits;
  }

  /** Names of callbacks in the checkpoint that the run has no longer: their state is not used. */
  missing({ states, lrFactors }: SavedCallbacks): string[] {
    const saved = Object.keys({ ...states, ...lrFactors });
    return saved.filter((name) => this.#callbacks.every((callbacks) => callbacks.name !== name));
  }

  /** What all learning rates are multiplied by. */
  get lrFactor(): number {
    return [...this.#factors.values()].reduce((product, factor) => product * factor, 1);
  }

  /** Why the run is to end; null where it goes on. */
  get stopped(): string | null {
    return this.#stopped;
  }

  /** Takes the changes that were asked for since the last time. */
  takeRequests(): CallbackRequest[] {
    return this.#requests.splice(0);
  }

  /** What a checkpoint keeps. @throws CustomCodeError for a state that JSON does not keep as it is */
  saved(): SavedCallbacks {
    const states: Record<string, JsonValue> = {};
    for (const callbacks of this.#callbacks) {
      if (callbacks.state === undefined) continue;
      const state = attempt(callbacks, "state", () => {
        const given = callbacks.state?.();
        // It throws for what contains itself.
        JSON.stringify(given);
        return given;
      });
      const fault = schemaFault(json, state);
      if (fault !== null)
        throw new CustomCodeError(
          `Expected a state that JSON keeps as it is of the callbacks ${callbacks.name}: ${fault}`,
        );
      states[callbacks.name] = state as JsonValue;
    }
    return { states, lrFactors: Object.fromEntries(this.#factors), stopped: this.#stopped };
  }

  /** Takes up what a checkpoint kept. @param saved undefined for that of a run which had no callbacks */
  load(saved: SavedCallbacks = { states: {}, lrFactors: {}, stopped: null }): void {
    this.#requests = [];
    this.#stopped = saved.stopped;
    this.#factors.clear();
    for (const callbacks of this.#callbacks) {
      const { name } = callbacks;
      if (Object.hasOwn(saved.lrFactors, name)) this.#factors.set(name, saved.lrFactors[name]);
      if (!Object.hasOwn(saved.states, name)) continue;
      attempt(callbacks, "load", () => callbacks.load?.(structuredClone(saved.states[name]) as JsonValue));
    }
  }

  /** The run trains on after an end that a callback asked for. */
  goOn(): void {
    this.#stopped = null;
  }

  async runStart(run: StartEvent): Promise<void> {
    await this.#call("onRunStart", run);
  }

  epochStart(epoch: EpochStart): Promise<Metrics> {
    return this.#call("onEpochStart", epoch);
  }

  step(step: CallbackStep): Promise<Metrics> {
    return this.#call("onStep", step);
  }

  evaluation(evaluation: CallbackEvaluation): Promise<Metrics> {
    return this.#call("onEvaluation", evaluation);
  }

  epochEnd(epoch: EpochEvent): Promise<Metrics> {
    return this.#call("onEpochEnd", epoch);
  }

  async checkpoint(checkpoint: CheckpointEvent): Promise<void> {
    await this.#call("onCheckpoint", checkpoint);
  }

  async runEnd(summary: RunSummary): Promise<void> {
    await this.#call("onRunEnd", summary);
  }

  /** @returns the figures of all answers @throws CustomCodeError naming the callback that fails */
  async #call<H extends Hook>(hook: H, value: Parameters<NonNullable<TrainCallbacks[H]>>[0]): Promise<Metrics> {
    const metrics: Metrics = {};
    for (const callbacks of this.#callbacks) {
      const method = callbacks[hook] as ((value: unknown) => unknown) | undefined;
      if (method === undefined) continue;
      let answered: unknown;
      try {
        answered = await this.#waits.on(`${hook} of the callbacks ${callbacks.name}`, method.call(callbacks, value));
      } catch (error) {
        throw failure(callbacks, hook, reasonOf(error), error);
      }
      const { metrics: own = {}, ...changes } = checkedAnswer(callbacks, hook, answered);
      for (const [name, figure] of Object.entries(own)) metrics[`${callbacks.name}/${name}`] = figure;
      this.#request(callbacks.name, changes);
    }
    return metrics;
  }

  #request(name: string, { lrFactor, override, stop }: CallbackAnswer): void {
    if (lrFactor !== undefined && lrFactor !== (this.#factors.get(name) ?? 1)) {
      this.#factors.set(name, lrFactor);
      this.#requests.push({ name, lrFactor });
    }
    if (override !== undefined) this.#requests.push({ name, override });
    if (stop === undefined || this.#stopped !== null) return;
    this.#stopped = `${name}: ${stop}`;
    this.#requests.push({ name, stop });
  }
}

/** Hooks whose answers count: what the others answered would be lost at a resume. */
const answering: ReadonlySet<string> = new Set(["onEpochStart", "onStep", "onEvaluation", "onEpochEnd"]);

function checkedAnswer({ name }: NamedCallbacks, hook: Hook, answered: unknown): CallbackAnswer {
  if (answered === undefined || answered === null) return {};
  if (!answering.has(hook))
    throw new CustomCodeError(`Expected no answer of ${hook} of the callbacks ${name}: no resumed run would have it`);
  const fault = schemaFault(answer, answered);
  if (fault !== null) throw new CustomCodeError(`The answer of ${hook} of the callbacks ${name} is wrong: ${fault}`);
  return answered as CallbackAnswer;
}

function attempt<T>(callbacks: NamedCallbacks, method: "state" | "load", body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw failure(callbacks, method, reasonOf(error), error);
  }
}

function failure({ name }: NamedCallbacks, method: string, reason: string, cause?: unknown): CustomCodeError {
  return new CustomCodeError(`${method} of the callbacks ${name} failed: ${reason}`, { cause });
}
