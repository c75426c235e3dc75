// The errors of this package. The code of a class stays the same; messages may change.

/** What an error may carry in addition to its message. */
interface ErrorDetails {
  cause?: unknown;
  /** What to do about it: a sentence of its own, shown on the line below the message. */
  hint?: string;
}

/**
 * Base of every error that this package throws at a caller.
 *
 * @example
 * try {
 *   resolvePrecision(JSON.parse('"fp8"'));
 * } catch (error) {
 *   if (error instanceof AmpError) console.error(error.code, error.message);
 * }
 */
export abstract class AmpError extends Error {
  abstract readonly code: string;
  /** What to do about it, where the message does not say so. */
  declare readonly hint?: string;

  constructor(message: string, { cause, hint }: ErrorDetails = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    if (hint !== undefined) this.hint = hint;
  }

  /** Recognised by `RfdetrError.is`, which must not import this package: that would load libtorch. */
  get [Symbol.for("rfdetr.error")](): "amp" {
    return "amp";
  }
}

/**
 * A cast policy or an override has an unknown rule, or names an operator or a module that does not exist. What to do:
 * use a name that the message lists.
 */
export class PolicyError extends AmpError {
  readonly code = "ERR_POLICY";
}

/**
 * The name of a precision is unknown, or a tensor to be rounded has the wrong one. What to do: use one that the message
 * names.
 */
export class PrecisionError extends AmpError {
  readonly code = "ERR_PRECISION";
}

/**
 * A gradient scaler was given a number that is out of range, or its methods were called out of order. What to do: call
 * scale, backward, unscale, step and update in this order, and unscale only once.
 */
export class GradScalerError extends AmpError {
  readonly code = "ERR_GRAD_SCALER";
}

/**
 * The interval of a monitor is not a whole number of steps. What to do: give a whole number of steps, or 0 to watch
 * none.
 */
export class MonitorError extends AmpError {
  readonly code = "ERR_MONITOR";
}
