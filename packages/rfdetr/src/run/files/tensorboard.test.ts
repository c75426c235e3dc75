import { appendFileSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { crc32c, frame, frames, scalarsEvent, TensorBoardWriter, versionEvent } from "./tensorboard.js";

const read = (folder: string) => [...frames(readFileSync(join(folder, readdirSync(folder)[0])))];

describe("TFRecord framing", () => {
  it("uses CRC-32C: the check value of RFC 3720 and of thirty-two zero bytes", () => {
    expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  });

  it("writes length and data, each followed by its masked CRC", () => {
    // The first record of every TensorFlow event file with wall time 0, as TensorFlow writes it.
    const record = frame(versionEvent(0));
    expect(record.readBigUInt64LE(0)).toBe(24n);
    expect(record.length).toBe(40);
    expect(record.subarray(12, 36).toString("latin1")).toBe("\t\0\0\0\0\0\0\0\0\u001a\rbrain.Event:2");
    expect([...frames(record)]).toEqual([versionEvent(0)]);
  });

  it("encodes a scalar as Event > Summary > Value", () => {
    expect(scalarsEvent(1, 300, { a: 0.5 }).toString("hex")).toBe(
      "09000000000000f03f" + "10ac02" + "2a0a" + "0a08" + "0a0161" + "150000003f",
    );
  });
});

describe("TensorBoardWriter", () => {
  it("continues the file of a resumed run, without the record that a kill cut off", () => {
    const folder = mkdtempSync(join(tmpdir(), "tb-"));
    const first = new TensorBoardWriter(folder);
    first.scalars(1, { "train/loss": 2, bad: Number.NaN });
    first.close();
    appendFileSync(join(folder, readdirSync(folder)[0]), frame(scalarsEvent(0, 2, { cut: 1 })).subarray(0, 20));
    const second = new TensorBoardWriter(folder);
    second.scalars(2, { "train/loss": 1 });
    second.close();
    expect(readdirSync(folder)).toHaveLength(1);
    const records = read(folder);
    expect(records).toHaveLength(3);
    expect(Buffer.from(records[1]).includes("train/loss")).toBe(true);
    expect(Buffer.from(records[1]).includes("bad")).toBe(false);
  });
});
