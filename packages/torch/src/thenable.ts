/** Whether something is awaited as a promise is: also one of another library, or of another realm. */
export const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof (value as { then?: unknown } | null | undefined)?.then === "function";
