// The family of errors. Each class has a code of its own that stays the same; messages may change.

/** What an error may carry beside its message. */
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
 * A cast policy or an override has an unknown rule, or names an operator or a module that is not there.
 * What to do: use a name that the message lists.
 */
export class PolicyError extends AmpError {
  readonly code = "ERR_POLICY";
}

/** The name of a precision is not known. What to do: use one that the message lists. */
export class PrecisionError extends AmpError {
  readonly code = "ERR_PRECISION";
}

/**
 * A gradient scaler was given a number that it cannot have, or its steps were called out of order.
 * What to do: call scale, backward, unscale, step and update in this order, unscale once.
 */
export class GradScalerError extends AmpError {
  readonly code = "ERR_GRAD_SCALER";
}

/**
 * The monitor was given an interval that is no whole number. What to do: give 0 to watch nothing, or a whole number of
 * steps.
 */
export class MonitorError extends AmpError {
  readonly code = "ERR_MONITOR";
}
