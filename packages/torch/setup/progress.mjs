// What goes on while set-up works: one live line below the others on a terminal, a line now and then elsewhere.

/** Milliseconds between two drawings of the live line, and between two lines of a log. */
const [drawEvery, logEvery] = [500, 20_000];
/** Seconds from which on it is told how long something took. */
const long = 5;

/** @typedef {{isTTY?: boolean, columns?: number, write: (text: string) => unknown}} Out */
/** `update` says how far it is; `end` that it is over. @typedef {{update(far: string): void, end(): void}} Task */

/** Lines, and what takes long below them. @internal for tests */
export class Progress {
  /** @type {Set<{name: string, far: string, since: number}>} */
  #tasks = new Set();
  /** @type {NodeJS.Timeout | null} */
  #timer = null;
  #isDrawn = false;
  #spoke = 0;

  /** @param {Out} out @param {() => number} now milliseconds */
  constructor(out = process.stderr, now = Date.now) {
    this.out = out;
    this.now = now;
  }

  get isTerminal() {
    return this.out.isTTY === true;
  }

  /** A line that stays. @param {string} line */
  say(line) {
    this.#spoke = this.now();
    this.out.write(`${this.#isDrawn ? "\r\x1b[K" : ""}${line}\n`);
    this.#isDrawn = false;
    this.#draw();
  }

  /** Something begins that takes long. @param {string} name @returns {Task} */
  begin(name) {
    const task = { name, far: "", since: this.now() };
    if (this.#tasks.size === 0) this.#spoke = this.now();
    this.#tasks.add(task);
    this.#timer ??= setInterval(() => this.tick(), drawEvery).unref();
    this.#draw();
    return {
      update: (far) => {
        task.far = far;
      },
      end: () => {
        this.#tasks.delete(task);
        if (this.#tasks.size > 0) return;
        if (this.#timer !== null) clearInterval(this.#timer);
        this.#timer = null;
        this.clear();
      },
    };
  }

  /**
   * Runs something that takes long, and tells how long it took.
   * @template T @param {string} name @param {(task: Task) => Promise<T>} body @returns {Promise<T>}
   */
  async during(name, body) {
    const began = this.now();
    const task = this.begin(name);
    try {
      const result = await body(task);
      task.end();
      const seconds = secondsOf(this.now() - began);
      if (seconds >= long) this.say(`  ${name}: done after ${seconds} s`);
      return result;
    } finally {
      task.end();
    }
  }

  /** Draws the live line anew, or says where things are if nothing was said for a while. */
  tick() {
    if (this.isTerminal) this.#draw();
    else if (this.#tasks.size > 0 && this.now() - this.#spoke >= logEvery) this.say(`  ${this.#line()}`);
  }

  /** Removes the live line. */
  clear() {
    if (this.#isDrawn) this.out.write("\r\x1b[K");
    this.#isDrawn = false;
  }

  #draw() {
    if (!this.isTerminal || this.#tasks.size === 0) return;
    const line = `  ${this.#line()}`.slice(0, (this.out.columns || 80) - 1);
    this.out.write(`\r${line}\x1b[K`);
    this.#isDrawn = true;
  }

  #line() {
    const parts = [...this.#tasks].map(
      ({ name, far, since }) => `${name}${far === "" ? "" : ` ${far}`}, ${secondsOf(this.now() - since)} s`,
    );
    return parts.join(" · ");
  }
}

const secondsOf = (/** @type {number} */ milliseconds) => Math.round(milliseconds / 1000);

/** That of this process, on stderr. */
export const progress = new Progress();
