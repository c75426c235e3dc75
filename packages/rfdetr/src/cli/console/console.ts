// The console: what was asked for on stdout; on stderr what goes on meanwhile, with one live line below it where there
// is a terminal.
import { displayWidth, textTable } from "@rfdetr/amp/text";
import { type Field, labelWidth, unbroken } from "../../support/format.js";
import { largestOf } from "../../support/lists.js";
import { Output, type OutputStream, printable, printableJson, stderr, stdout } from "./output.js";
import { bold, dim, green, red, shortened, wrapped, written, yellow } from "./style.js";

/** How a console writes. */
export interface ConsoleOptions {
  /** For logs: no live line, no colours. */
  plain: boolean;
  /** JSON on stdout, and no text. */
  json: boolean;
}

/** The shortest that names in a table become in a narrow terminal. */
const shortestName = 8;

/** Milliseconds after which a log is told again of a stage that goes on. */
const logEvery = 30_000;

/** Writes what a command has to say. No control character of a name reaches the terminal through it. */
export class Console {
  readonly json: boolean;
  readonly #plain: boolean;
  readonly #out: Output;
  readonly #err: Output;
  /** The live line for a terminal of so many columns; null where there is none. */
  #live: ((columns: number) => string) | null = null;

  /** What a log was told of, and when it was last. */
  readonly #stages = new Set<string>();
  #told = Number.NEGATIVE_INFINITY;

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
    return this.#columnsOf(this.#err);
  }

  /** A line of what was asked for, on stdout. With `--json` the data says it. */
  result(text = ""): void {
    if (!this.json) this.#line(this.#out, text);
  }

  /**
   * Prose of what was asked for, broken between words where there is a terminal.
   * @param indent spaces before all lines but the first
   */
  sentence(text: string, indent = 2): void {
    this.result(wrapped(text, this.#columnsOf(this.#out), indent));
  }

  /** Labels and what is said of each, on stdout or, of what goes on, on stderr. Values keep their emphasis. */
  fields(fields: readonly Field[], where: "result" | "progress" = "result"): void {
    if (this.json && where === "result") return;
    const output = where === "result" ? this.#out : this.#err;
    for (const [label, ...lines] of fields)
      for (const [i, line] of lines.entries()) {
        const before = (i === 0 ? label : "").padEnd(labelWidth);
        this.#line(output, wrapped(`${dim(unbroken(before))}${line}`, this.#columnsOf(output), labelWidth));
      }
  }

  /**
   * A table of what was asked for. In a terminal that is too narrow it does without columns of these titles, as many
   * as needed and in this order; then the names of the first column become shorter. A note says so. Elsewhere it is
   * whole.
   */
  table(header: readonly string[], rows: readonly (readonly string[])[], dispensable: readonly string[] = []): void {
    if (this.json) return;
    const cells = rows.map((row) => row.map((cell) => printable(cell).replaceAll("\n", "\\n")));
    const width = this.#columnsOf(this.#out) ?? Number.POSITIVE_INFINITY;
    const without = (left: number, longest = Number.POSITIVE_INFINITY): string => {
      const kept = header.flatMap((title, i) => (dispensable.slice(0, left).includes(title) ? [] : [i]));
      const pick = (row: readonly string[]): string[] =>
        kept.map((i, at) => (at === 0 ? shortened(row[i] ?? "", longest) : (row[i] ?? "")));
      return textTable(pick(header), cells.map(pick));
    };
    const excess = (text: string): number => largestOf(text.split("\n").map(displayWidth)) - width;
    let left = 0;
    while (left < dispensable.length && excess(without(left)) > 0) left++;
    let text = without(left);
    const names = largestOf([header, ...cells].map(([first = ""]) => displayWidth(first)));
    const shorter = excess(text) > 0 && names > shortestName;
    if (shorter) text = without(left, Math.max(shortestName, names - excess(text)));
    const [titles = "", ...lines] = text.split("\n");
    for (const line of [bold(titles), ...lines]) this.result(line);
    const told = [
      ...(left > 0 ? [`without ${dispensable.slice(0, left).join(", ")}`] : []),
      ...(shorter ? ["with shortened names"] : []),
    ];
    if (told.length > 0) this.fact(`shown ${told.join(" and ")}, because the terminal is narrow (--json has all)`);
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
    this.prose(`${dim("note:")} ${text}`);
  }

  /** Something that a reader should look into, on stderr. */
  warning(text: string): void {
    this.prose(`${yellow("warning:")} ${text}`);
  }

  /** Why the command failed, on stderr. */
  error(text: string): void {
    this.prose(`${red("error:")} ${text}`);
  }

  /** Prose of what goes on, on stderr, broken between words where there is a terminal. */
  prose(text: string): void {
    this.progress(wrapped(text, this.columns, 2));
  }

  /**
   * Replaces the live line. Does nothing where there is no terminal.
   * @param text the line, or what it is in a terminal of so many columns; what is too long is cut
   */
  live(text: string | ((columns: number) => string)): void {
    if (this.plain) return;
    if (this.#live === null) this.#err.stream.on("resize", this.#redraw);
    this.#live = typeof text === "string" ? () => text : text;
    this.#redraw();
  }

  /**
   * The live line of what takes long; for a log, a line of each stage when it begins, and one every half minute.
   * @param stage what the text is of, without what is counted in it
   */
  doing(text: string, stage = text): void {
    if (!this.plain) {
      this.live(text);
      return;
    }
    if (this.json || (this.#stages.has(stage) && performance.now() - this.#told < logEvery)) return;
    this.#stages.add(stage);
    this.#told = performance.now();
    this.progress(text);
  }

  /** Removes the live line. */
  end(): void {
    if (this.#live === null) return;
    this.#live = null;
    this.#err.stream.off("resize", this.#redraw);
    this.#err.write(erase);
  }

  bold = bold;
  dim = dim;
  green = green;
  yellow = yellow;
  red = red;

  #redraw = (): void => this.#err.write(this.#drawn);

  /**
   * The live line, and the cursor at its start. There it stays when the terminal becomes narrower and breaks the line
   * into several, so that all of them can be erased from there on. The cursor stands on a space.
   */
  get #drawn(): string {
    if (this.#live === null) return "";
    const { columns } = this.#err;
    const room = columns - 2;
    const text = written(shortened(printable(this.#live(room)), room), this.#isColoured(this.#err));
    return ` ${text}\x1b[J\r`;
  }

  #columnsOf(output: Output): number | null {
    return output.isTerminal && !this.#plain ? output.columns : null;
  }
  #isColoured(output: Output): boolean {
    const { NO_COLOR: none = "", FORCE_COLOR: forced = "0" } = process.env;
    if (this.#plain || none !== "") return false;
    return output.isTerminal || !["", "0", "false"].includes(forced);
  }
  #line(output: Output, text: string): void {
    this.#write(output, `${written(text, this.#isColoured(output))}\n`);
  }
  #write(output: Output, text: string): void {
    const before = this.#live === null ? "" : erase;
    if (output === this.#err) output.write(`${before}${text}${this.#drawn}`);
    else {
      this.#err.write(before);
      output.write(text);
      this.#redraw();
    }
  }
}

/** Erases the live line, and what the terminal has made of it. */
const erase = "\r\x1b[J";
