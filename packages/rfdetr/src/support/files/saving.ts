// Which file a thread writes, told to another thread through shared memory: a thread that waits for its disk can send
// no message.

/** Room for a path, in bytes. */
const room = 256;

/** Words of shared memory for a path: its length in bytes, 0 where nothing is written, and its bytes. */
export const savingWords = 1 + room / 4;

let shared: Int32Array | null = null;

/** Has this thread tell there what it writes. @param words {@link savingWords} of shared memory; null ends that */
export function tellSaving(words: Int32Array | null): void {
  shared = words;
}

/** Runs `body`, which writes a file or a folder. Of what is written within a folder, the folder is told. */
export function whileSaving<T>(path: string, body: () => T): T {
  const words = shared;
  if (words === null || savingIn(words) !== null) return body();
  setSaving(words, path);
  try {
    return body();
  } finally {
    setSaving(words, null);
  }
}

/** Sets what is being written; of a long path, its end. */
export function setSaving(words: Int32Array, path: string | null): void {
  const bytes = Buffer.from(path ?? "").subarray(-room);
  new Uint8Array(words.buffer, words.byteOffset + 4, room).set(bytes);
  Atomics.store(words, 0, bytes.length);
  // For who waits for it.
  Atomics.notify(words, 0);
}

/** What is being written; null for nothing, or where the memory has no room for it. */
export function savingIn(words: Int32Array): string | null {
  const length = words.length < savingWords ? 0 : Atomics.load(words, 0);
  if (length === 0) return null;
  return Buffer.from(new Uint8Array(words.buffer, words.byteOffset + 4, room).slice(0, length)).toString();
}
