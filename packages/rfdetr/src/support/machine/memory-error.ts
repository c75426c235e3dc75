// Tells lack of memory from other failures.
import { MemoryError } from "../errors.js";

/** The last is of a library that could not be loaded. */
const saysSo =
  /out of memory|not enough memory|allocation failed|unable to (re)?allocate|cannot (re)?allocate|bad_alloc|failed to map/i;

/** Whether an error says that memory ran out: of V8, of a native library or of the system. */
export function isOutOfMemory(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof MemoryError) return true;
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOMEM" || code === "ERR_WORKER_OUT_OF_MEMORY" || code === "ERR_MEMORY_ALLOCATION_FAILED") return true;
  return saysSo.test(error.message);
}

/**
 * Throws a MemoryError if memory ran out, so that nothing else is blamed.
 * @param task what could not be done: follows "Expected enough memory to"
 */
export function checkMemory(error: unknown, task: string): void {
  if (isOutOfMemory(error)) throw outOfMemory(error as Error, task);
}

/** The error that says so. @param task as in {@link checkMemory} */
export function outOfMemory(error: Error, task: string): MemoryError {
  const lines = error.message.split("\n");
  const reason = lines.find((line) => saysSo.test(line)) ?? lines[0];
  return new MemoryError(`Expected enough memory to ${task}, but it ran out: ${reason}`, {
    cause: error,
    hint: "Give the process more memory, or lower `num_workers` and `batch_size`",
  });
}
