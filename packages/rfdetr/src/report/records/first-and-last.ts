/** A list that keeps the first and the last entries, the same number of each, however many are added. */
export class FirstAndLast<T> {
  readonly #each: number;
  readonly #first: T[] = [];
  #last: T[] = [];
  #total = 0;

  constructor(each: number) {
    this.#each = each;
  }

  add(entry: T): void {
    this.#total++;
    if (this.#first.length < this.#each) this.#first.push(entry);
    else this.#last.push(entry);
    if (this.#last.length >= 2 * this.#each) this.#last = this.#last.slice(-this.#each);
  }

  excerpt(): { total: number; entries: T[] } {
    return { total: this.#total, entries: [...this.#first, ...this.#last.slice(-this.#each)] };
  }
}
