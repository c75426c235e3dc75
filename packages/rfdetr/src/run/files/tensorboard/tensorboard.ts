// What TensorBoard reads: small protobuf messages, written without their library, in the records of an event file.
import { closeSync, fstatSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { eventPrefix, frame, lastSecond } from "./event-files.js";

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) | 128);
  }
}

const key = (field: number, wire: number) => Buffer.from(varint(field * 8 + wire));
const int = (field: number, value: number) => Buffer.concat([key(field, VARINT), Buffer.from(varint(value))]);
const message = (field: number, data: Uint8Array) =>
  Buffer.concat([key(field, BYTES), Buffer.from(varint(data.length)), data]);
const text = (field: number, value: string) => message(field, Buffer.from(value, "utf8"));
function float(field: number, value: number): Buffer {
  const data = Buffer.alloc(4);
  data.writeFloatLE(value);
  return Buffer.concat([key(field, FIXED32), data]);
}
function double(field: number, value: number): Buffer {
  const data = Buffer.alloc(8);
  data.writeDoubleLE(value);
  return Buffer.concat([key(field, FIXED64), data]);
}

/** `Event { wall_time = 1, file_version = 3 }`. @param seconds since 1970. @internal for tests */
export const versionEvent = (seconds: number) => Buffer.concat([double(1, seconds), text(3, "brain.Event:2")]);

/** `Event { wall_time = 1, step = 2, summary = 5 { value = 1 { tag = 1, simple_value = 2 } } }`. @internal for tests */
export function scalarsEvent(seconds: number, step: number, scalars: Readonly<Record<string, number>>): Buffer {
  const values = Object.entries(scalars).map(([tag, value]) =>
    message(1, Buffer.concat([text(1, tag), float(2, value)])),
  );
  return Buffer.concat([double(1, seconds), int(2, step), message(5, Buffer.concat(values))]);
}

/** An encoded picture. */
export interface EncodedImage {
  tag: string;
  /** The bytes of a PNG or JPEG file. */
  content: Uint8Array;
  /** Pixels, also `height`. */
  width: number;
  height: number;
}

/**
 * `Event { wall_time = 1, step = 2, summary = 5 { value = 1 { tag = 1, image = 4 { height = 1, width = 2,
 * colorspace = 3: RGB, encoded_image_string = 4 } } } }`.
 * @internal for tests
 */
export function imageEvent(seconds: number, step: number, { tag, content, width, height }: EncodedImage): Buffer {
  const image = Buffer.concat([int(1, height), int(2, width), int(3, 3), message(4, content)]);
  const value = message(1, Buffer.concat([text(1, tag), message(4, image)]));
  return Buffer.concat([double(1, seconds), int(2, step), message(5, value)]);
}

/**
 * `Event { wall_time = 1, step = 2, session_log = 7 { status = 1: START } }`: a reader forgets what it has read of this
 * step and later ones.
 * @internal for tests
 */
export const startEvent = (seconds: number, step: number) =>
  Buffer.concat([double(1, seconds), int(2, step), message(7, int(1, 1))]);

/**
 * Appends scalars and pictures to `events.out.tfevents.*` in a folder. TensorBoard shows them while the run goes on.
 */
export class TensorBoardWriter {
  readonly #file: number;

  /**
   * Begins an event file. That of a continued run is later than those which are there.
   * @param step the first step that is to come
   */
  constructor(folder: string, step = 0) {
    const seconds = Math.max(Math.floor(Date.now() / 1000), lastSecond(folder) + 1);
    this.#file = openSync(join(folder, `${eventPrefix}${seconds}.${hostname()}`), "a");
    this.#write(versionEvent(seconds));
    if (step > 0) this.#write(startEvent(seconds, step));
  }

  /** Writes the scalars of a step; those that are missing or not finite are left out. */
  scalars(step: number, scalars: Readonly<Record<string, number | null | undefined>>): void {
    const finite = Object.fromEntries(
      Object.entries(scalars).flatMap(([name, value]) => (Number.isFinite(value) ? [[name, value as number]] : [])),
    );
    if (Object.keys(finite).length > 0) this.#write(scalarsEvent(Date.now() / 1000, step, finite));
  }

  /** Writes a picture of a step. */
  image(step: number, image: EncodedImage): void {
    this.#write(imageEvent(Date.now() / 1000, step, image));
  }

  /** Writes a whole record or none: nothing after a part of one could be read. */
  #write(event: Uint8Array): void {
    const { size } = fstatSync(this.#file);
    const record = frame(event);
    try {
      for (let done = 0; done < record.length; ) done += writeSync(this.#file, record, done);
    } catch (error) {
      ftruncateSync(this.#file, size);
      throw error;
    }
  }

  close(): void {
    closeSync(this.#file);
  }
}
