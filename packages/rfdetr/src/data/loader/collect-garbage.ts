// Frees decoded images that are not used any more. V8 does so late: it sees small objects with much memory outside its
// heap, and a thread that waits for its share of the budget collects nothing meanwhile.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Returns a function that counts bytes that are not used any more, and frees them when they exceed a limit. */
export function garbageCollector(limit: number): (bytes: number) => void {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  let garbage = 0;
  return (bytes) => {
    garbage += bytes;
    if (garbage <= limit) return;
    collect();
    garbage = 0;
  };
}
