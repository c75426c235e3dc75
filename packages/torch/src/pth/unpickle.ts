// A pickle reader for tensors and plain data. It builds values and never calls anything: a name that is not on the list
// of constructors ends the reading.
import { Constructor } from "./allowed-names.js";
import { handlerOf } from "./handlers.js";
import { Machine, mark } from "./machine.js";
import { opcodes } from "./opcodes.js";
import type { PickledStorage } from "./pickled.js";

/** Most operations of a pickle. A checkpoint with the state of its optimizer has about 100,000. */
const maxSteps = 2_000_000;

/**
 * Reads one pickle (protocols 2 to 5). Dicts become Maps, tuples and lists arrays, sets Sets, tensors
 * `PickledTensor`s, dtypes and devices `PickledName`s.
 * @throws UnsafePickleError, PthError
 */
export function unpickle(bytes: Buffer, path: string): unknown {
  return unpickleAt(bytes, path, 0).value;
}

/**
 * Reads the pickle that begins at a byte.
 * @returns its value, the byte after it, and every storage that it names
 * @throws UnsafePickleError, PthError
 */
export function unpickleAt(
  bytes: Buffer,
  path: string,
  start: number,
): { value: unknown; end: number; storages: ReadonlyMap<string, PickledStorage> } {
  const machine = new Machine(bytes, path, start);
  for (let step = 0; step < maxSteps; step++) {
    const code = machine.byte();
    if (code === opcodes.STOP) {
      const value = machine.pop();
      if (value === mark || value instanceof Constructor) machine.broken("no value");
      return { value, end: machine.at, storages: machine.storages };
    }
    const handler = handlerOf.get(code);
    if (handler === undefined) machine.broken(`the operation 0x${code.toString(16)}, which checkpoints do not need,`);
    else handler(machine);
  }
  return machine.broken(`more than ${maxSteps} operations`);
}
