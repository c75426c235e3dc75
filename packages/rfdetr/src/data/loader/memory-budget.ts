// A budget of memory that threads share: each takes what its image needs before it decodes, and gives it back.

/** A share of the budget that is taken at least, and counted in. */
const unit = 1024;

/** Memory for a budget of so many bytes, to send to the threads. */
export function createBudget(bytes: number): SharedArrayBuffer {
  const shared = new SharedArrayBuffer(8);
  // What is free, and all of it.
  new Int32Array(shared).fill(Math.floor(bytes / unit));
  return shared;
}

/**
 * Waits until so many bytes are free, and takes them. More than the whole budget counts as the whole: such an image is
 * decoded alone. Blocks the thread.
 * @returns a function that gives the bytes back
 */
export function takeBudget(shared: SharedArrayBuffer, bytes: number): () => void {
  const [free, all] = [new Int32Array(shared, 0, 1), new Int32Array(shared, 4, 1)[0]];
  const need = Math.min(all, Math.ceil(bytes / unit));
  for (;;) {
    const found = Atomics.load(free, 0);
    if (found < need) Atomics.wait(free, 0, found, 100);
    else if (Atomics.compareExchange(free, 0, found, found - need) === found) break;
  }
  return () => {
    Atomics.add(free, 0, need);
    Atomics.notify(free, 0);
  };
}
