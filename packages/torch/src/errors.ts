// The family of errors. Each has a code that stays the same; messages may change.

/**
 * Base of every error that this package defines.
 *
 * @example
 * try {
 *   loadSafetensors("weights.safetensors");
 * } catch (error) {
 *   if (error instanceof TorchError) console.error(error.code, error.message, error.hint ?? "");
 * }
 */
export class TorchError extends Error {
  /** What to do about it, where there is one thing to do; a sentence of its own, not part of the message. */
  declare readonly hint?: string;

  constructor(
    readonly code: string,
    message: string,
    options: ErrorOptions & { hint?: string } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    if (options.hint !== undefined) this.hint = options.hint;
  }

  /** Recognised by `RfdetrError.is` of rfdetr, which must not import this package: that would load libtorch. */
  get [Symbol.for("rfdetr.error")](): "torch" {
    return "torch";
  }
}

/** The compiled addon, or the libtorch that it needs, is missing or cannot be loaded. What to do: run `npm run setup`. */
export class EngineError extends TorchError {
  constructor(message: string, options: ErrorOptions = {}) {
    super("ERR_ENGINE", message, { ...options, hint: "Run `npm run setup`" });
  }
}

/**
 * A tensor was used after its scope ended or after `dispose()`.
 * What to do: return the tensor from its scope, or `keep` it.
 */
export class DisposedError extends TorchError {
  constructor() {
    super("ERR_DISPOSED", "Expected a live tensor but received one that was disposed");
  }
}

/**
 * libtorch has no such operator, refused its arguments, or failed in it. The message holds the operator, its arguments,
 * libtorch's own text and the path of the module.
 *
 * - `ERR_TORCH`: libtorch failed in an operator. What to do: correct shapes, types or devices of the arguments; for want of
 *   memory, lower the batch.
 * - `ERR_INVALID_ARG_TYPE`: An argument has a type that the operator does not take. What to do: pass the type that is named.
 * - `ERR_INVALID_ARG_VALUE`: An argument has a value that the operator does not take. What to do: pass one that is named.
 */
export class OperatorError extends TorchError {
  /** Such as `aten::matmul`; undefined where the error comes from something else than a call. */
  declare readonly operator?: string;
  /** What it was called with, such as `self: float32[2,3], other: float32[2,3]`. */
  declare readonly arguments?: string;
}

/** Codes of the errors that the addon makes. */
const addonCodes = new Set<unknown>(["ERR_TORCH", "ERR_INVALID_ARG_TYPE", "ERR_INVALID_ARG_VALUE"]);

/** Turns a plain error of the addon into an {@link OperatorError}, in place; everything else passes unchanged. */
export function fromAddon(error: unknown): unknown {
  if (!(error instanceof Error) || Object.getPrototypeOf(error) !== Error.prototype) return error;
  if (!addonCodes.has((error as { code?: unknown }).code)) return error;
  Object.setPrototypeOf(error, OperatorError.prototype);
  error.name = OperatorError.name;
  return error;
}
