// The console: lines for people on stderr, one live line below them where there is a terminal, data on stdout.
import pc from "picocolors";

/** How a console writes. */
export interface ConsoleOptions {
  /** For logs: no live line, no colours. */
  plain: boolean;
  /** Data on stdout; lines for people stay on stderr. */
  json: boolean;
}

/** Writes what a command has to say. */
export class Console {
  readonly plain: boolean;
  readonly json: boolean;
  readonly #out: NodeJS.WriteStream;
  #live = "";

  constructor(options: Partial<ConsoleOptions> = {}, out: NodeJS.WriteStream = process.stderr) {
    this.#out = out;
    this.plain = options.plain ?? !out.isTTY;
    this.json = options.json ?? false;
  }

  /** A line of text for people. */
  line(text = ""): void {
    this.#clear();
    this.#out.write(`${text}\n`);
    this.#draw();
  }

  /** Replaces the live line. Does nothing where there is no terminal. */
  live(text: string): void {
    if (this.plain) return;
    this.#clear();
    this.#live = text;
    this.#draw();
  }

  /** Removes the live line. */
  end(): void {
    this.#clear();
    this.#live = "";
  }

  warn(text: string): void {
    this.line(`${this.yellow("warning:")} ${text}`);
  }
  error(text: string): void {
    this.line(`${this.red("error:")} ${text}`);
  }

  /** One JSON value on stdout, on a line of its own. */
  data(value: unknown): void {
    process.stdout.write(`${JSON.stringify(value)}\n`);
  }

  bold = (text: string): string => (this.plain ? text : pc.bold(text));
  dim = (text: string): string => (this.plain ? text : pc.dim(text));
  green = (text: string): string => (this.plain ? text : pc.green(text));
  yellow = (text: string): string => (this.plain ? text : pc.yellow(text));
  red = (text: string): string => (this.plain ? text : pc.red(text));

  #clear(): void {
    if (this.#live !== "") this.#out.write("\r\x1b[2K");
  }
  #draw(): void {
    if (this.#live === "") return;
    const width = this.#out.columns ?? 80;
    // A line that wraps could not be erased.
    this.#out.write(this.#live.length < width ? this.#live : `${this.#live.slice(0, width - 2)}…`);
  }
}
