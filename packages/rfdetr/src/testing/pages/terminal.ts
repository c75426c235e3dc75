// A terminal for tests: what a person would see of what a program writes.
import { Writable } from "node:stream";
import xterm from "@xterm/headless";

/** A stream as a program sees it, on a terminal whose screen can be read and whose size can change. */
export interface TestTerminal extends Writable {
  isTTY: true;
  columns: number;
  /** What was written, with its escape sequences. */
  raw(): string;
  /** The rows of the screen and of what has left it, without empty ones at the end. */
  rows(): Promise<string[]>;
  /** Changes the width, as a person who drags the edge of the window. */
  resize(columns: number): Promise<void>;
}

/** @param columns characters in a row */
export function testTerminal(columns: number): TestTerminal {
  const screen = new xterm.Terminal({ cols: columns, rows: 40, convertEol: true, allowProposedApi: true });
  let raw = "";
  const stream = new Writable({
    write(chunk, _encoding, done) {
      raw += String(chunk);
      screen.write(String(chunk));
      done();
    },
  });
  const settled = (): Promise<void> => new Promise((resolve) => screen.write("", resolve));
  return Object.assign(stream, {
    isTTY: true as const,
    columns,
    raw: () => raw,
    async rows() {
      await settled();
      const { active } = screen.buffer;
      const rows = Array.from({ length: active.length }, (_, i) => active.getLine(i)?.translateToString(true) ?? "");
      return rows.slice(0, rows.findLastIndex((row) => row !== "") + 1);
    },
    async resize(this: TestTerminal, next: number) {
      await settled();
      screen.resize(next, 40);
      this.columns = next;
      stream.emit("resize");
    },
  });
}
