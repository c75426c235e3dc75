// Errors of checkpoint files.
import { TorchError } from "../errors.js";
import { shown } from "../files.js";

/**
 * A checkpoint cannot be read: it is broken, cut off, or holds something that no checkpoint may hold.
 * What to do: copy or write the file again.
 */
export class PthError extends TorchError {
  readonly code = "ERR_CHECKPOINT_FILE";
  constructor(path: string, found: string) {
    super(`Expected a checkpoint of torch but ${path} ${found}`);
  }
}

/**
 * A checkpoint names code outside of the allowed list. None of it was run.
 * What to do: save plain tensors with Python; do not trust the file.
 */
export class UnsafePickleError extends PthError {
  constructor(
    path: string,
    readonly global: string,
  ) {
    super(path, `wants to use ${shown(global)}, which is neither a tensor nor plain data; none of it was run`);
  }
}
