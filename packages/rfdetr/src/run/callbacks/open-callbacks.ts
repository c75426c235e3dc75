// Opens the module of a run's callbacks and checks what it exports.
import { readFileSync } from "node:fs";
import { basename, extname } from "node:path";
import { pathToFileURL } from "node:url";
import { CustomCodeError } from "../../support/errors.js";
import { sha256 } from "../../support/files/sha256.js";
import { reasonOf } from "../../support/files/system-error.js";
import { shown } from "../../support/shown.js";
import { suggest } from "../../support/suggest.js";
import { Waits } from "../waits.js";
import { CallbackRunner } from "./callback-runner.js";
import type { TrainCallbacks } from "./train-callbacks.js";

const methods = [
  "onRunStart",
  "onEpochStart",
  "onStep",
  "onEvaluation",
  "onEpochEnd",
  "onCheckpoint",
  "onRunEnd",
  "state",
  "load",
] as const satisfies (keyof TrainCallbacks)[];

/** First parts of figures that the run has itself. */
const taken: ReadonlySet<string> = new Set(["train", "val", "amp", "pictures"]);

let opened = 0;
/** Modules that this thread has opened, by their URLs. */
const modules = new Map<string, string>();

/** The callbacks of a run, and the module that they are of. */
export interface OpenedCallbacks {
  runner: CallbackRunner;
  /** SHA-256 of the file, in hexadecimal digits. */
  sha256: string;
}

/**
 * Imports a module of callbacks into this thread.
 * @param path absolute path of the file
 * @param waits watches what the callbacks return
 * @throws CustomCodeError where it cannot be imported, or does not export callbacks
 */
export async function openCallbacks(path: string, waits = new Waits()): Promise<OpenedCallbacks> {
  let bytes: Buffer;
  let exported: unknown;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new CustomCodeError(`Expected a module of callbacks but ${path} cannot be read: ${reasonOf(error)}`, {
      cause: error,
    });
  }
  try {
    // Each run of a process has its own: what the module remembers is what a checkpoint says.
    const { href } = pathToFileURL(path);
    modules.set(href, path);
    const url = `${href}?run=${++opened}`;
    exported = ((await import(/* @vite-ignore */ url)) as { default?: unknown }).default;
  } catch (error) {
    throw new CustomCodeError(`The callbacks in ${path} cannot be loaded: ${reasonOf(error)}`, { cause: error });
  }
  if (exported === undefined)
    throw new CustomCodeError(`Expected callbacks as the default export of ${path} but found none`);
  const list = (Array.isArray(exported) ? exported : [exported]).map((each) => checked(each, path));
  const names = list.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined)
    throw new CustomCodeError(
      `Expected callbacks of different names in ${path} but found ${twice} twice: set their name`,
    );
  return { runner: new CallbackRunner(list, waits), sha256: sha256(bytes) };
}

/**
 * What was thrown where nobody waits for it, such as in a timer: a {@link CustomCodeError} where its stack leads to a
 * module of callbacks, and otherwise the same.
 */
export function strayFailure(error: unknown): unknown {
  const stack = error instanceof Error ? (error.stack ?? "") : null;
  // What is no error has no stack, and only code of a user throws such.
  const path = [...modules].find(([url]) => stack === null || stack.includes(url))?.[1];
  if (path === undefined) return error;
  return new CustomCodeError(
    `The callbacks in ${path} failed where the run does not wait for them: ${reasonOf(error)}`,
    {
      cause: error,
    },
  );
}

/** @throws CustomCodeError for what is not an object of callbacks */
function checked(value: unknown, path: string): TrainCallbacks & { name: string } {
  const callbacks = objectOf(value, path);
  const { name = basename(path, extname(path)) } = callbacks;
  if (typeof name !== "string" || !/^[\w.-]+$/.test(name) || taken.has(name))
    throw new CustomCodeError(
      `Expected a name of letters, digits, ".", "_" and "-", other than ${[...taken].join(", ")}, for the callbacks in ${path} but received ${shown(name)}`,
    );
  for (const key of namesIn(callbacks)) {
    const method = methods.find((each) => each === key);
    const meant = suggest(key, [...methods]);
    if (method === undefined && /^on[A-Z]/.test(key))
      throw new CustomCodeError(
        `Expected one of ${methods.join(", ")} in the callbacks ${name} but found ${key}${meant === undefined ? "" : `: did you mean ${meant}?`}`,
      );
    if (method !== undefined && callbacks[method] !== undefined && typeof callbacks[method] !== "function")
      throw new CustomCodeError(`Expected a function for ${key} of the callbacks ${name} in ${path}`);
  }
  if ((callbacks.state === undefined) !== (callbacks.load === undefined))
    throw new CustomCodeError(`Expected both state and load, or neither, in the callbacks ${name} of ${path}`);
  // Methods of a class keep their object.
  return Object.assign(Object.create(callbacks), { name });
}

function objectOf(value: unknown, path: string): TrainCallbacks {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new CustomCodeError(`Expected an object of callbacks, or a list of them, as the default export of ${path}`);
}

/** The names of an object and of the class that it is of. */
function namesIn(object: object): string[] {
  const names: string[] = [];
  for (let at = object; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at))
    names.push(...Object.getOwnPropertyNames(at));
  return names;
}
