// The console: what was asked for on stdout; on stderr what goes on meanwhile, with one live line below it where there
// is a terminal.
import { randomUUID } from "node:crypto";
import { displayWidth, textTable } from "@rfdetr/amp/text";
import { Output, type OutputStream, printable, printableJson, stderr, stdout } from "./output.js";

/** How a console writes. */
export interface ConsoleOptions {
  /** For logs: no live line, no colours. */
  plain: boolean;
  /** JSON on stdout, and no text. */
  json: boolean;
}

/** Stands before the number of a colour until the text is written. No name can hold it, and it prints as nothing. */
const mark = `\ufdd0${randomUUID()}:`;
const marks = new RegExp(`${mark}(\\d+);`, "g");
const style =
  (on: number, off: number) =>
  (text: string): string =>
    `${mark}${on};${text}${mark}${off};`;

/** Writes what a command has to say. No control character of a name reaches the terminal through it. */
export class Console {
  readonly json: boolean;
  readonly #plain: boolean;
  readonly #out: Output;
  readonly #err: Output;
  #live = "";

  constructor(options: Partial<ConsoleOptions> = {}, streams: { out?: OutputStream; err?: OutputStream } = {}) {
    this.#out = streams.out === undefined ? stdout : new Output(streams.out);
    this.#err = streams.err === undefined ? stderr : new Output(streams.err);
    this.#plain = options.plain ?? false;
    this.json = options.json ?? false;
  }

  /** Whether there is no live line. */
  get plain(): boolean {
    return this.#plain || !this.#err.isTerminal;
  }

  /** Characters that fit in a line of what goes on; null where lines may be of any length. */
  get columns(): number | null {
    return this.#err.isTerminal ? this.#err.columns : null;
  }

  /** A line of what was asked for, on stdout. With `--json` the data says it. */
  result(text = ""): void {
    if (!this.json) this.#line(this.#out, text);
  }

  /**
   * A table of what was asked for. In a terminal that is too narrow it does without columns of these titles, as many
   * as needed and in this order, and says so; elsewhere it is whole.
   */
  table(header: readonly string[], rows: readonly (readonly string[])[], dispensable: readonly string[] = []): void {
    if (this.json) return;
    const cells = rows.map((row) => row.map((cell) => printable(cell).replaceAll("\n", "\\n")));
    const width = this.#out.isTerminal ? this.#out.columns : Number.POSITIVE_INFINITY;
    const without = (left: number): string => {
      const kept = header.flatMap((title, i) => (dispensable.slice(0, left).includes(title) ? [] : [i]));
      const pick = (row: readonly string[]): string[] => kept.map((i) => row[i] ?? "");
      return textTable(pick(header), cells.map(pick));
    };
    const fits = (text: string): boolean => text.split("\n").every((line) => displayWidth(line) <= width);
    let left = 0;
    while (left < dispensable.length && !fits(without(left))) left++;
    this.result(without(left));
    if (left > 0)
      this.fact(
        `left out, because the terminal is too narrow: ${dispensable.slice(0, left).join(", ")} (--json has all)`,
      );
  }

  /** Text of a file format on stdout, as it is. */
  text(text: string): void {
    this.#write(this.#out, text);
  }

  /** One JSON value on stdout, on a line of its own: with `--json` what was asked for, in full. */
  data(value: unknown): void {
    this.#write(this.#out, `${printableJson(JSON.stringify(value))}\n`);
  }

  /** A line of what goes on, on stderr. */
  progress(text = ""): void {
    this.#line(this.#err, text);
  }

  /** Something that was found or decided and that a reader may want to know, on stderr. */
  fact(text: string): void {
    this.progress(this.#wrapped(`${this.dim("note:")} ${text}`));
  }

  /** Something that a reader should look into, on stderr. */
  warning(text: string): void {
    this.progress(this.#wrapped(`${this.yellow("warning:")} ${text}`));
  }

  /** Why the command failed, on stderr. */
  error(text: string): void {
    this.progress(`${this.red("error:")} ${text}`);
  }

  /** Replaces the live line. Does nothing where there is no terminal. */
  live(text: string): void {
    if (this.plain) return;
    this.#clear();
    this.#live = printable(text);
    this.#draw();
  }

  /** Removes the live line. */
  end(): void {
    this.#clear();
    this.#live = "";
  }

  bold = style(1, 22);
  dim = style(2, 22);
  green = style(32, 39);
  yellow = style(33, 39);
  red = style(31, 39);

  /** Prose as lines that fit a terminal, broken between words. */
  #wrapped(text: string): string {
    if (this.columns === null || this.#plain) return text;
    const lines = [""];
    for (const word of printable(text).split(/[ \n]/)) {
      const longer = `${lines.at(-1)}${lines.at(-1) === "" ? "" : " "}${word}`;
      if (displayWidth(longer.replace(marks, "")) < this.columns) lines.splice(-1, 1, longer);
      else lines.push(`  ${word}`);
    }
    return lines.join("\n");
  }
  #line(output: Output, text: string): void {
    const coloured = !this.#plain && output.isTerminal && process.env.NO_COLOR === undefined;
    this.#write(output, `${printable(text).replace(marks, coloured ? "\x1b[$1m" : "")}\n`);
  }
  #write(output: Output, text: string): void {
    this.#clear();
    output.write(text);
    this.#draw();
  }
  #clear(): void {
    if (this.#live !== "") this.#err.write("\r\x1b[2K");
  }
  #draw(): void {
    if (this.#live === "") return;
    const { columns } = this.#err;
    let line = this.#live;
    // A line that wraps could not be erased.
    if (displayWidth(line) >= columns) {
      while (displayWidth(line) > columns - 2) line = line.slice(0, -1);
      line += "…";
    }
    this.#err.write(line);
  }
}
