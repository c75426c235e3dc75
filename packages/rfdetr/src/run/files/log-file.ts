// Logs of any size: read line by line, cut back in place, never held as a whole.
import { closeSync, fsyncSync, openSync, readSync, renameSync, statSync, truncateSync, writeSync } from "node:fs";

/** Bytes that are read at once. */
const chunk = 1 << 20;
/** A longer line is no record: a watched step of the largest model takes a hundredth of it. */
const longest = 64 << 20;

/** A part of a file, from a byte to the byte after its last. */
export type Range = readonly [start: number, end: number];

/** A line of a file. */
export interface LogLine {
  /** Where it lies, with its line break. */
  range: Range;
  /** Without its line break; null for a line that is too long to be a record. */
  text: string | null;
}

/**
 * The lines of a file, in order. What follows the last line break is left out: a kill cut it off, or it is being
 * written.
 * @param from the byte to begin at: the start of a line
 */
export function* linesOf(path: string, from = 0): Generator<LogLine> {
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.allocUnsafe(chunk);
    let parts: Buffer[] = [];
    let held = 0;
    let start = from;
    let at = from;
    const read = (): number => readSync(file, bytes, 0, chunk, at);
    for (let count = read(); count > 0; count = read()) {
      let next = 0;
      for (let end = bytes.indexOf(10, next); end >= 0 && end < count; end = bytes.indexOf(10, next)) {
        const whole = held + end - next <= longest ? Buffer.concat([...parts, bytes.subarray(next, end)]) : null;
        const text = whole?.toString("utf8") ?? null;
        yield { range: [start, at + end + 1], text: start === 0 && text?.startsWith("\ufeff") ? text.slice(1) : text };
        next = end + 1;
        start = at + next;
        parts = [];
        held = 0;
      }
      held += count - next;
      if (held <= longest) parts.push(Buffer.from(bytes.subarray(next, count)));
      else parts = [];
      at += count;
    }
  } finally {
    closeSync(file);
  }
}

/**
 * Gives a file the line breaks that a run writes. Other programs, such as Excel, save with a byte order mark, and with
 * a carriage return in each line.
 */
export function useOwnLineBreaks(path: string): void {
  const head = headOf(path);
  const mark = head.subarray(0, byteOrderMark.length).equals(byteOrderMark) ? byteOrderMark.length : 0;
  const returns = head[head.indexOf(10) - 1] === 13;
  if (mark === 0 && !returns) return;
  const kept: Range[] = [];
  for (const { range, text } of linesOf(path)) {
    const start = Math.max(range[0], mark);
    // A return ends the text of a line; of a line that is too long only the reader knows.
    if (text?.endsWith("\r")) kept.push([start, range[1] - 2], [range[1] - 1, range[1]]);
    else kept.push([start, range[1]]);
  }
  keepRanges(path, kept);
}

function headOf(path: string): Buffer {
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.allocUnsafe(chunk);
    return bytes.subarray(0, readSync(file, bytes, 0, chunk, 0));
  } finally {
    closeSync(file);
  }
}

const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);

/**
 * Shortens a file to some of its parts. Where only the end goes, the file is cut, which needs no room on the disk; else
 * it is replaced by a copy.
 * @param kept parts in their order, without overlaps
 */
export function keepRanges(path: string, kept: readonly Range[]): void {
  const { size } = statSync(path);
  const [first = [0, 0], ...others] = joined(kept);
  if (first[0] === 0 && others.length === 0) {
    if (first[1] < size) truncateSync(path, first[1]);
    return;
  }
  const temporary = `${path}.partial`;
  const from = openSync(path, "r");
  const to = openSync(temporary, "w");
  try {
    const bytes = Buffer.allocUnsafe(chunk);
    for (const [start, end] of [first, ...others])
      for (let at = start; at < end; ) {
        const count = readSync(from, bytes, 0, Math.min(chunk, end - at), at);
        if (count === 0) break;
        for (let done = 0; done < count; ) done += writeSync(to, bytes, done, count - done);
        at += count;
      }
    fsyncSync(to);
  } finally {
    closeSync(from);
    closeSync(to);
  }
  renameSync(temporary, path);
}

function joined(ranges: readonly Range[]): Range[] {
  const result: [number, number][] = [];
  for (const [start, end] of ranges) {
    const last = result.at(-1);
    if (last?.[1] === start) last[1] = end;
    else result.push([start, end]);
  }
  return result;
}
