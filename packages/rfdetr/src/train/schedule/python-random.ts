// Python's `random.Random(seed).choice(…)`, which the package uses to choose the image size of a step.
import { InternalError } from "../../support/errors.js";

const N = 624;
const M = 397;

/**
 * MT19937 seeded as CPython seeds it from an integer (Matsumoto and Nishimura 1998, `init_by_array` over the 32-bit
 * words of |seed|). Only what `choice` needs.
 */
export class PythonRandom {
  readonly #state = new Uint32Array(N);
  #index = N;

  /** @param seed any integer that a double holds exactly. */
  constructor(seed: number) {
    if (!Number.isSafeInteger(seed))
      throw new InternalError(`Expected safe integer for seed but received ${seed} of type ${typeof seed}`);
    const key: number[] = [];
    for (let rest = Math.abs(seed); rest > 0; rest = Math.floor(rest / 2 ** 32)) key.push(rest % 2 ** 32);
    if (key.length === 0) key.push(0);
    this.#seedByArray(key);
  }

  /**
   * Returns the element that `random.Random(seed).choice(list)` returns, and advances the generator. @throws RangeError
   * for an empty list
   */
  choice<T>(list: readonly T[]): T {
    if (list.length === 0) throw new InternalError("Expected at least one element to choose from but received none");
    const bits = 32 - Math.clz32(list.length);
    let at: number;
    do at = this.#next() >>> (32 - bits);
    while (at >= list.length);
    return list[at];
  }

  #seedByOne(seed: number): void {
    const state = this.#state;
    state[0] = seed;
    for (let i = 1; i < N; i++) state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
  }

  #seedByArray(key: readonly number[]): void {
    const state = this.#state;
    this.#seedByOne(19650218);
    let i = 1;
    let j = 0;
    const wrap = () => {
      i++;
      if (i < N) return;
      state[0] = state[N - 1];
      i = 1;
    };
    for (let k = Math.max(N, key.length); k > 0; k--) {
      state[i] = (state[i] ^ Math.imul(state[i - 1] ^ (state[i - 1] >>> 30), 1664525)) + key[j] + j;
      wrap();
      j = (j + 1) % key.length;
    }
    for (let k = N - 1; k > 0; k--) {
      state[i] = (state[i] ^ Math.imul(state[i - 1] ^ (state[i - 1] >>> 30), 1566083941)) - i;
      wrap();
    }
    state[0] = 0x80000000;
  }

  #next(): number {
    if (this.#index >= N) this.#twist();
    let y = this.#state[this.#index++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    y ^= y >>> 18;
    return y >>> 0;
  }

  #twist(): void {
    const state = this.#state;
    for (let k = 0; k < N; k++) {
      const y = (state[k] & 0x80000000) | (state[(k + 1) % N] & 0x7fffffff);
      state[k] = state[(k + M) % N] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.#index = 0;
  }
}
