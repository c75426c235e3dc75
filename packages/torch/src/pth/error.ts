/** A checkpoint that cannot be read: broken, cut off, or holding what no checkpoint may. */
export class CheckpointError extends Error {
  readonly code = "ERR_CHECKPOINT_FILE";
  constructor(path: string, found: string) {
    super(`Expected a checkpoint of torch but ${path} ${found}`);
    this.name = "CheckpointError";
  }
}

/** A checkpoint that names code outside of the allowed list. Nothing of it was run. */
export class UnsafePickleError extends CheckpointError {
  constructor(
    path: string,
    readonly global: string,
  ) {
    super(path, `wants to use ${global}, which is neither a tensor nor plain data; nothing of it was run`);
    this.name = "UnsafePickleError";
  }
}
