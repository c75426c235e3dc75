// A window that moves over a JSON file of any size and tells where its values begin and end, without parsing them.
import { isUtf8 } from "node:buffer";
import { jsonFault, jsonFaultMessage } from "../../support/files/json-fault.js";
import { type Fail, textPieces } from "../../support/files/text-file.js";

/** Bytes of one value; no entry of a list has as many, and V8 holds no text of more than twice as many. */
const longest = 256 * 2 ** 20;
const quote = 0x22;
const backslash = 0x5c;
const isOpening = (byte: number): boolean => byte === 0x7b || byte === 0x5b;
const isClosing = (byte: number): boolean => byte === 0x7d || byte === 0x5d;
const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

/** Reads a file from its first to its last value. What begins at the last {@link JsonBytes.keep} stays in memory. */
export class JsonBytes {
  /** Whether what was taken as text so far is UTF-8. */
  isUtf8 = true;
  private readonly pieces: Generator<Buffer>;
  private buffer: Buffer;
  /** The next byte, the first byte that is kept and the end of the bytes that were read, in the buffer. */
  private at = 0;
  private kept = 0;
  private end = 0;
  /** Bytes of the file before the buffer. */
  private offset = 0;
  /** Whether the whole file was read. */
  private isWhole = false;

  constructor(
    readonly path: string,
    private readonly pieceBytes: number,
    readonly fail: Fail,
  ) {
    this.pieces = textPieces(path, "JSON file", pieceBytes, fail);
    this.buffer = Buffer.allocUnsafe(2 * pieceBytes);
  }

  /** Closes the file. */
  close(): void {
    this.pieces.return(undefined);
  }

  /** The next byte that is no space, -1 at the end of the file. It stays the next one. */
  peek(): number {
    while (this.at < this.end || this.read()) {
      const byte = this.buffer[this.at];
      if (!isSpace(byte)) return byte;
      this.at++;
      if (this.kept === this.at - 1) this.kept = this.at;
    }
    return -1;
  }

  /** Takes the next byte. */
  next(): number {
    if (this.at === this.end && !this.read()) this.refuse("more");
    return this.buffer[this.at++];
  }

  /** Keeps what follows, and forgets what was before. */
  keep(): void {
    this.kept = this.at;
  }

  /** Bytes since {@link keep}. */
  get length(): number {
    return this.at - this.kept;
  }

  /** The text since {@link keep}, or a part of it in bytes. */
  text(from = 0, to = this.length): string {
    const bytes = this.buffer.subarray(this.kept + from, this.kept + to);
    if (this.isUtf8 && !isUtf8(bytes)) this.isUtf8 = false;
    return bytes.toString("utf8");
  }

  /**
   * Moves past the value that begins at the next byte.
   * @param depth 1 to move past the rest of an object or list whose first bracket was taken
   */
  skipValue(depth = 0): void {
    do {
      const byte = this.next();
      if (byte === quote) this.skipText();
      else if (isOpening(byte)) depth++;
      else if (isClosing(byte)) depth--;
      else if (depth === 0) this.skipWord();
    } while (depth > 0);
  }

  /** Moves past a text whose first quote was taken. */
  skipText(): void {
    for (;;) {
      const byte = this.next();
      if (byte === quote) return;
      if (byte === backslash) this.next();
    }
  }

  /** Moves past a number or a word. */
  private skipWord(): void {
    while (this.at < this.end || this.read()) {
      const byte = this.buffer[this.at];
      if (isSpace(byte) || byte === 0x2c || byte === 0x3a || isClosing(byte)) return;
      this.at++;
    }
  }

  /**
   * Gives up over what cannot be parsed since {@link keep}, or over the next byte if that is not at fault.
   * @param expected what should stand at the next byte
   * @param within the entry at fault, as it follows a place in the file
   * @throws what `fail` makes
   */
  refuse(expected: string, within = ""): never {
    const text = this.text();
    const fault = this.length === 0 ? null : jsonFault(text, { tolerant: true });
    if (fault !== null && fault.at < text.length && !(fault.cut && this.isWhole)) {
      const before = this.offset + this.kept + Buffer.byteLength(text.slice(0, fault.at));
      throw this.fail(
        jsonFaultMessage(this.path, this.place(before), text.slice(fault.at, fault.at + 40), fault.expected, within),
      );
    }
    const found = this.at < this.end ? this.buffer.toString("utf8", this.at, Math.min(this.end, this.at + 40)) : "";
    throw this.fail(jsonFaultMessage(this.path, this.place(this.offset + this.at), found, expected, within));
  }

  /** Reads the next piece behind what is kept. @returns whether there was one */
  private read(): boolean {
    let piece = this.pieces.next();
    while (!piece.done && piece.value.length === 0) piece = this.pieces.next();
    this.isWhole = piece.done === true;
    if (piece.done) return false;
    const { value } = piece;
    this.buffer.copyWithin(0, this.kept, this.end);
    this.offset += this.kept;
    this.at -= this.kept;
    this.end -= this.kept;
    this.kept = 0;
    if (this.end > longest) this.refuse(`a comma or a bracket within ${longest / 2 ** 20} MB`);
    if (this.end + value.length > this.buffer.length) {
      const larger = Buffer.allocUnsafe(2 * (this.end + value.length));
      this.buffer.copy(larger, 0, 0, this.end);
      this.buffer = larger;
    }
    value.copy(this.buffer, this.end);
    this.end += value.length;
    return true;
  }

  /** Line and column of a byte of the file, both from 1, by reading it again. */
  private place(byte: number): { line: number; column: number } {
    let left = byte;
    let line = 1;
    let column = 1;
    for (const piece of textPieces(this.path, "JSON file", this.pieceBytes, this.fail)) {
      for (let i = 0; i < Math.min(left, piece.length); i++) {
        if (piece[i] === 0x0a) {
          line++;
          column = 1;
        } else if ((piece[i] & 0xc0) !== 0x80) column++;
      }
      left -= piece.length;
      if (left <= 0) break;
    }
    return { line, column };
  }
}
