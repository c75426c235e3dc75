// Where the command writes to: stdout and stderr, either of which may be closed or full.

/** What `Output` needs of a stream. */
export type OutputStream = NodeJS.WritableStream & { isTTY?: boolean; columns?: number };

/**
 * A stream that breaks without an end to the program: after the first failure what is written is dropped, since a
 * training must not die because `head` has seen enough or a log disk is full.
 */
export class Output {
  /** Why nothing is written any more; null while all is well. */
  failure: NodeJS.ErrnoException | null = null;

  constructor(readonly stream: OutputStream) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      this.failure ??= error;
    });
  }

  /** Whether a person looks at it through a terminal that knows how to erase a line: a build server only keeps it. */
  get isTerminal(): boolean {
    const { TERM, CI = "" } = process.env;
    return this.stream.isTTY === true && TERM !== "dumb" && ["", "0", "false"].includes(CI);
  }

  /** Characters that fit in a line of the terminal; some terminals say 0. */
  get columns(): number {
    return this.stream.columns || 80;
  }

  write(text: string): void {
    if (this.failure !== null || text === "") return;
    try {
      this.stream.write(text);
    } catch (error) {
      this.failure = error as NodeJS.ErrnoException;
    }
  }
}

/** The two streams of the process. */
export const stdout = new Output(process.stdout);
export const stderr = new Output(process.stderr);

/** Control characters and marks that turn the direction of writing. */
const unprintable = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** The same in JSON, which escapes only some of them: as escapes that a reader of JSON takes back. */
export function printableJson(json: string): string {
  return json.replace(unprintable, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/**
 * Text without what a terminal would obey: names of files and classes may hold control characters and marks that turn
 * the direction of writing. They are shown as `\x1b` and `\u202e`; line breaks stay.
 */
export function printable(text: string): string {
  return text.replace(unprintable, (character) => {
    const code = character.charCodeAt(0).toString(16);
    if (character === "\n") return character;
    return code.length > 2 ? `\\u${code.padStart(4, "0")}` : `\\x${code.padStart(2, "0")}`;
  });
}
