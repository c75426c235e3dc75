// Errors that a user can act on. The command prints their message alone; anything else is a fault of this program and keeps its stack.

/**
 * Codes: `ERR_CONFIG` (a setting), `ERR_USAGE` (the command line), `ERR_RUN_DIRECTORY` (a run folder that exists, is missing, cannot be
 * written), `ERR_CHECKPOINT` (a checkpoint or weights file that does not fit), `ERR_DATA` (the data cannot be trained on),
 * `ERR_NUMERICS` (training went non-finite for good).
 */
export class RfdetrError extends Error {
  override readonly name = "RfdetrError";
  constructor(
    readonly code: "ERR_CONFIG" | "ERR_USAGE" | "ERR_RUN_DIRECTORY" | "ERR_CHECKPOINT" | "ERR_DATA" | "ERR_NUMERICS",
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The sentence of an argument error: `Expected positive integer for batch but received -1 of type number`. */
export function expected(what: string, name: string, received: unknown): string {
  const type = received === null ? "null" : Array.isArray(received) ? "array" : typeof received;
  const shown =
    typeof received === "string" ? JSON.stringify(received) : typeof received === "object" ? JSON.stringify(received) : String(received);
  return `Expected ${what} for ${name} but received ${shown}${type === "null" || type === "undefined" ? "" : ` of type ${type}`}`;
}

/** True for errors whose message is meant for the user: named errors with a `code` of ours, and operating-system errors. */
export function isUserError(error: unknown): error is Error & { code: string } {
  return error instanceof Error && typeof (error as { code?: unknown }).code === "string";
}
