// A small random generator whose state can be saved: sfc32 (Doty-Humphrey), seeded through splitmix32.

/** State of a generator, as numbers that JSON can hold. */
export type RngState = readonly [number, number, number, number];

/** A generator of random numbers, the same on every machine. */
export class Rng {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** Seeds from integers and strings: equal seeds give equal numbers, different seeds give unrelated ones. */
  constructor(...seeds: (number | string)[]) {
    let hash = 0x9e3779b9;
    for (const byte of Buffer.from(seeds.join("\u0000"))) hash = Math.imul(hash ^ byte, 0x85ebca6b) ^ (hash >>> 13);
    const next = (): number => {
      hash = (hash + 0x9e3779b9) | 0;
      let x = hash ^ (hash >>> 16);
      x = Math.imul(x, 0x21f0aaad);
      x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
      return x ^ (x >>> 15);
    };
    [this.#a, this.#b, this.#c, this.#d] = [next(), next(), next(), 1];
    for (let i = 0; i < 12; i++) this.next();
  }

  /** Uniform on [0, 1), 32 bits. */
  next(): number {
    const t = (((this.#a + this.#b) | 0) + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t;
    this.#c |= 0;
    return (t >>> 0) / 2 ** 32;
  }

  /** Uniform on [low, high). */
  uniform(low: number, high: number): number {
    return low + (high - low) * this.next();
  }

  /** Integer on low … high, both included. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  /** True with probability p. */
  chance(p: number): boolean {
    return this.next() < p;
  }

  /** A uniform element of a list. */
  choice<T>(list: readonly T[]): T {
    return list[this.integer(0, list.length - 1)];
  }

  /** Standard normal (Box–Muller). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
  }

  /** Shuffles in place (Fisher–Yates). */
  shuffle<T>(list: T[]): T[] {
    for (let i = list.length - 1; i > 0; i--) {
      const j = this.integer(0, i);
      [list[i], list[j]] = [list[j], list[i]];
    }
    return list;
  }

  state(): RngState {
    return [this.#a, this.#b, this.#c, this.#d];
  }
  restore(state: RngState): void {
    [this.#a, this.#b, this.#c, this.#d] = state;
  }
}
