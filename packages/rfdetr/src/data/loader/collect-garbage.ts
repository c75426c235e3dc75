// Frees decoded images that are not used any more. V8 does so late: it sees small objects with much memory outside its
// heap, and a thread that waits for its share of the budget collects nothing meanwhile.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** The garbage collection of V8, or that of Bun, which has another engine. */
function collection(): () => void {
  const { Bun } = globalThis as { Bun?: { gc(now: boolean): void } };
  if (Bun !== undefined) return () => Bun.gc(true);
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}

/** Returns a function that counts bytes that are not used any more, and frees them when they exceed a limit. */
export function garbageCollector(limit: number): (bytes: number) => void {
  const collect = collection();
  let garbage = 0;
  return (bytes) => {
    garbage += bytes;
    if (garbage <= limit) return;
    collect();
    garbage = 0;
  };
}
