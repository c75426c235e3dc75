import { describe, expect, it } from "vitest";
import { EventLog } from "./event-log.js";
import type { StepEvent, TrainEvent } from "./events.js";

const note = (message: string): TrainEvent => ({ type: "note", message });
const step = (number: number): TrainEvent => ({ type: "step", step: number }) as StepEvent;

/** What a reader gets, in short, until the log ends. */
async function all(log: EventLog): Promise<(string | number)[]> {
  const read: (string | number)[] = [];
  for await (const event of log.read())
    if (event.type === "note") read.push(event.message);
    else if (event.type === "step") read.push(event.step);
  return read;
}

describe("the events of a run", () => {
  it("reach every reader whole: two at once, one that begins late, one after the end, one that was left", async () => {
    const log = new EventLog();
    log.push(note("a"));
    const early = [all(log), all(log)];
    for await (const event of log.read()) {
      expect(event).toEqual(note("a"));
      break;
    }
    await new Promise(setImmediate);
    log.push(note("b"));
    const late = all(log);
    await new Promise(setImmediate);
    log.push(note("c"));
    log.end(null);
    for (const read of [...early, late, all(log)]) expect(await read).toEqual(["a", "b", "c"]);
  });

  it("end for every reader with the failure of the run, after the last of them", async () => {
    const log = new EventLog();
    const seen: TrainEvent[] = [];
    const readers = [1, 2].map(async () => {
      for await (const event of log.read()) seen.push(event);
    });
    log.push(note("a"));
    log.end(new Error("lost"));
    for (const reader of readers) await expect(reader).rejects.toThrow("lost");
    expect(seen).toEqual([note("a"), note("a")]);
  });

  it("are at most 10,000 for who has not read them: the oldest steps go, and nothing else", async () => {
    const log = new EventLog();
    log.push(note("start"));
    const slow = log.read();
    await slow.next();
    for (let number = 1; number <= 12_000; number++) {
      log.push(step(number));
      if (number === 500) log.push(note("epoch"));
    }
    log.end(null);
    const kept = ["start", "epoch", ...Array.from({ length: 9998 }, (_, i) => 2003 + i)];
    expect(await all(log)).toEqual(kept);
    expect([(await slow.next()).value, (await slow.next()).value]).toEqual([note("epoch"), step(2003)]);
  });
});
