import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { CallbackRunner } from "./callbacks/callback-runner.js";
import { StopRequest } from "./control/stop-request.js";
import type { TrainEvent } from "./events/events.js";
import { gathering } from "./sources/gathering.js";
import { Waits, waitsFor } from "./waits.js";

const note = (message: string): TrainEvent => ({ type: "note", message });
const warning = (what: string): TrainEvent => ({ type: "warning", message: waitsFor(what, 1) });

/** A promise, and a function that settles it. */
function latch(): { promise: Promise<void>; open: () => void } {
  let open = (): void => {};
  const promise = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}

describe("what a run waits for", () => {
  it("is named once where it takes long, among the events of the run, which goes on when it comes", async () => {
    const waits = new Waits(1);
    const [first, second] = [latch(), latch()];
    const runner = new CallbackRunner([{ name: "mine", onStep: () => first.promise }], waits);
    async function* images() {
      yield 1;
      await second.promise;
      yield 2;
    }
    async function* run(): AsyncGenerator<TrainEvent> {
      yield note("begun");
      await runner.step({} as never);
      for await (const image of waits.each("images, with rain", images())) yield note(`image ${image}`);
      await waits.on("images, with rain", new Promise((resolve) => setTimeout(resolve, 5)));
      yield note(`${await waits.on("nothing", 3)}`);
    }
    const events: TrainEvent[] = [];
    for await (const event of waits.among(run())) {
      events.push(event);
      if (event.type === "warning") (events.length < 4 ? first : second).open();
    }
    expect(events).toEqual([
      ...[note("begun"), warning("onStep of the callbacks mine"), note("image 1")],
      ...[warning("images, with rain"), note("image 2"), note("3")],
    ]);
  });

  it("does not hold up who leaves, and fails as without", async () => {
    const waits = new Waits(1);
    const forever = async function* (): AsyncGenerator<TrainEvent> {
      // biome-ignore lint/suspicious/noThenProperty: a promise of another library
      await waits.on("a disk", { then: () => {} });
      yield note("never");
    };
    for await (const event of waits.among(forever())) {
      expect(event).toEqual(warning("a disk"));
      break;
    }
    const failing = async function* (): AsyncGenerator<TrainEvent> {
      yield note("begun");
      await waits.on("a disk", Promise.reject(new Error("gone")));
    };
    const read = async () => {
      for await (const _ of waits.among(failing()));
    };
    await expect(read()).rejects.toThrow("gone");
  });

  it("is left, of items, when they are over", async () => {
    const forever = new Promise<void>(() => {});
    async function* images() {
      yield 1;
      await forever;
    }
    let isOver = false;
    const came: number[] = [];
    for await (const image of new Waits().each("images", images(), () => isOver)) {
      came.push(image);
      isOver = true;
    }
    expect(came).toEqual([1]);
  });

  it("is told sooner of a run that is to end", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
    const waits = new Waits();
    waits.end(() => true);
    const told = new Promise((resolve) => waits.listen(resolve));
    const latched = latch();
    const waiting = waits.on("onStep of the callbacks mine", latched.promise);
    vi.advanceTimersByTime(2000);
    vi.useRealTimers();
    expect(await told).toBe("Before the run saves and ends, it waits for onStep of the callbacks mine");
    latched.open();
    await waiting;
  });

  it("may be a row of the program's data", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const events: TrainEvent[] = [];
    const stop = new StopRequest();
    const asked = latch();
    const get = () => {
      asked.open();
      return new Promise<never>(() => {});
    };
    const folder = mkdtempSync(join(tmpdir(), "waits-"));
    const emit = (event: TrainEvent) => void events.push(event);
    const train = { length: 1, get };
    const gathered = gathering({ train, valid: train }, { settings: null, resume: join(folder, "run"), stop, emit });
    await asked.promise;
    vi.advanceTimersByTime(30_000);
    vi.useRealTimers();
    expect(events).toEqual([{ type: "warning", message: waitsFor("a row of its custom dataset") }]);
    stop.ask();
    await expect(gathered).rejects.toThrow("Reading the data was stopped");
    rmSync(folder, { recursive: true });
  });
});
