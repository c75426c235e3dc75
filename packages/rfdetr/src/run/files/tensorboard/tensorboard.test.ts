import { appendFileSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { crc32c, frame, keepEvents, recordsOf } from "./event-files.js";
import { imageEvent, scalarsEvent, startEvent, TensorBoardWriter, versionEvent } from "./tensorboard.js";

const files = (folder: string) => readdirSync(folder).map((name) => join(folder, name));
const read = (path: string) => [...recordsOf(path)].map(({ data }) => data);

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
    const path = join(mkdtempSync(join(tmpdir(), "tb-")), "events");
    writeFileSync(path, record);
    expect([...recordsOf(path)]).toEqual([{ range: [0, 40], data: versionEvent(0) }]);
  });

  it("encodes a scalar as Event > Summary > Value", () => {
    expect(scalarsEvent(1, 300, { a: 0.5 }).toString("hex")).toBe(
      "09000000000000f03f" + "10ac02" + "2a0a" + "0a08" + "0a0161" + "150000003f",
    );
  });
});

describe("events", () => {
  const golden = JSON.parse(readFileSync(new URL("fixtures/tensorboard.json", import.meta.url), "utf8"));

  it("have the bytes of TensorBoard's own message classes", () => {
    const content = Uint8Array.from({ length: 200 }, (_, i) => i);
    const events = {
      version: versionEvent(1.5),
      scalars: scalarsEvent(1.5, 70000, { "train/loss": 0.5, "val/AP": -2 }),
      image: imageEvent(1.5, 300, { tag: "pictures/labels", content, width: 480, height: 300 }),
      start: startEvent(1.5, 9),
    };
    for (const [name, event] of Object.entries(events)) expect(event.toString("hex"), name).toBe(golden[name]);
  });
});

describe("TensorBoardWriter", () => {
  it("leaves out what is not finite", () => {
    const folder = mkdtempSync(join(tmpdir(), "tb-"));
    const writer = new TensorBoardWriter(folder);
    writer.scalars(1, { "train/loss": 2, bad: Number.NaN });
    writer.close();
    const [, event] = read(files(folder)[0]);
    expect(event?.includes("train/loss")).toBe(true);
    expect(event?.includes("bad")).toBe(false);
  });

  it("begins a later file for a resumed run, which says from which step on it counts", () => {
    const folder = mkdtempSync(join(tmpdir(), "tb-"));
    for (const step of [0, 5, 9]) new TensorBoardWriter(folder, step).close();
    const names = readdirSync(folder);
    expect(names).toHaveLength(3);
    expect(read(join(folder, names[1])).length).toBe(2);
    expect(read(join(folder, names[2]))[1]?.subarray(9)).toEqual(startEvent(0, 9).subarray(9));
    // Event > step 9 > session log > status START.
    expect(startEvent(0, 9).subarray(9).toString("hex")).toBe("10093a020801");
  });
});

describe("event files of a resumed run", () => {
  const record = (step: number) => frame(scalarsEvent(0, step, { loss: step }));
  const written = (...parts: Uint8Array[]) => {
    const folder = mkdtempSync(join(tmpdir(), "tb-"));
    writeFileSync(join(folder, "events.out.tfevents.7.host"), Buffer.concat([frame(versionEvent(0)), ...parts]));
    return folder;
  };

  it("lose the steps beyond the checkpoint, and a record that a kill cut off", () => {
    const folder = written(record(10), record(20), record(300), record(310).subarray(0, 20));
    expect(keepEvents(folder, (step) => step <= 20)).toBe(0);
    expect(readFileSync(files(folder)[0])).toEqual(Buffer.concat([frame(versionEvent(0)), record(10), record(20)]));
  });

  it("lose records that are damaged, and keep those around them", () => {
    const bad = record(20);
    bad[30] ^= 1;
    const folder = written(record(10), bad, record(30));
    expect(keepEvents(folder, () => true)).toBe(1);
    expect(read(files(folder)[0])).toEqual([
      versionEvent(0),
      ...[10, 30].map((step) => scalarsEvent(0, step, { loss: step })),
    ]);
    appendFileSync(files(folder)[0], Buffer.alloc(64));
    expect(keepEvents(folder, () => true)).toBe(1);
    expect(read(files(folder)[0])).toHaveLength(3);
  });
});
