// Errors between threads: a structured clone keeps neither class nor code.
import * as classes from "./errors.js";

/** What of an error can be cloned. */
export interface SentError {
  name: string;
  message: string;
  stack?: string;
  /** The package whose class it is; undefined for an error of no family. */
  family?: "rfdetr" | "amp" | "torch";
  code?: string;
  hint?: string;
  cause?: SentError;
}

/**
 * An error as plain data, with its causes. What is thrown without being an error becomes the message of one. A cause
 * that leads back to an error above it is left out.
 */
export function packError(error: unknown, above: readonly unknown[] = []): SentError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const { name, message, stack, cause } = error;
  const { code, hint } = error as { code?: unknown; hint?: unknown };
  return {
    name,
    message,
    ...(stack === undefined ? {} : { stack }),
    ...(classes.RfdetrError.is(error)
      ? { family: (error as { [classes.family]?: SentError["family"] })[classes.family] }
      : {}),
    ...(typeof code === "string" ? { code } : {}),
    ...(typeof hint === "string" ? { hint } : {}),
    ...(cause === undefined || cause === error || above.includes(cause)
      ? {}
      : { cause: packError(cause, [...above, error]) }),
  };
}

/** The error of another thread: its class, code, message, hint, stack and causes. */
export async function unpackError(sent: SentError): Promise<Error> {
  const { name, message, family, code, hint } = sent;
  const error =
    sent.cause === undefined ? new Error(message) : new Error(message, { cause: await unpackError(sent.cause) });
  const found = family === undefined ? (globalThis as Record<string, unknown>)[name] : (await classesOf(family))[name];
  if (isErrorClass(found)) Object.setPrototypeOf(error, found.prototype);
  else if (family !== undefined) Object.defineProperty(error, classes.family, { value: family });
  // The names of Node's own errors lie on their prototypes.
  if (error.name !== name) Object.defineProperty(error, "name", { value: name, configurable: true, writable: true });
  Object.assign(error, code === undefined ? {} : { code }, hint === undefined ? {} : { hint });
  if (sent.stack !== undefined) error.stack = sent.stack;
  return error;
}

/**
 * The error that ended a thread, as its `error` event has it: a clone without class. An engine that cannot be loaded
 * ends the thread while it imports its modules, before it could send the error itself.
 */
export async function endOfThread(error: unknown): Promise<unknown> {
  if ((error as { code?: unknown } | null)?.code !== "ERR_ENGINE") return error;
  return unpackError({ ...packError(error), family: "torch" });
}

/** The exports of a package by name. A package that does not load, such as one without its engine, has none. */
async function classesOf(family: "rfdetr" | "amp" | "torch"): Promise<Record<string, unknown>> {
  if (family === "rfdetr") return classes;
  try {
    return await (family === "amp" ? import("@rfdetr/amp") : import("@rfdetr/torch"));
  } catch {
    return {};
  }
}

function isErrorClass(value: unknown): value is { prototype: Error } {
  return typeof value === "function" && value.prototype instanceof Error;
}
