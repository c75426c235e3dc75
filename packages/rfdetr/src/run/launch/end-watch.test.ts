import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Activity } from "../../support/machine/process-activity.js";
import { watchEnd } from "./end-watch.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());
const seconds = (count: number) => vi.advanceTimersByTime(count * 1000);

/** Three ranks, what each does in a second, and which of them were given up. */
function watched(does: (Partial<Activity> & { saving?: string })[]) {
  const ranks = does.map(({ saving }, rank) => ({ rank, pid: rank, exit: null as object | null, saving }));
  const done: Activity[] = does.map(() => ({ cpu: 0, bytes: 0, isStopped: false, waitsForDisk: false }));
  const given: [ranks: number[], why: string][] = [];
  const end = watchEnd(
    ranks,
    3,
    (hung, why) => {
      given.push([hung.map(({ rank }) => rank), why]);
      for (const rank of hung) rank.exit = {};
    },
    (pid) => {
      const { cpu = 0, bytes = 0, saving: _, ...state } = does[pid];
      done[pid] = { ...done[pid], ...state, cpu: done[pid].cpu + cpu, bytes: done[pid].bytes + bytes };
      return done[pid];
    },
  );
  return { given, end };
}

describe("the watch over processes that are to end", () => {
  it("gives up a process that was stopped, however busy the others are", () => {
    const { given, end } = watched([{ cpu: 100 }, { isStopped: true }, { cpu: 100 }]);
    seconds(2);
    expect(given).toEqual([]);
    seconds(20);
    expect(given).toEqual([[[1], "stopped"]]);
    end();
  });

  it("gives up a process that was stopped while it wrote", () => {
    const { given, end } = watched([{ isStopped: true, saving: "runs/a/checkpoint" }, {}, {}]);
    seconds(4);
    expect(given).toEqual([[[0], "stopped"]]);
    end();
  });

  it("gives up all but rank 0 where none does anything, and then rank 0", () => {
    const { given, end } = watched([{ cpu: 1 }, { bytes: 100 }, {}]);
    seconds(4);
    expect(given).toEqual([[[1, 2], "idle"]]);
    seconds(3);
    expect(given).toEqual([
      [[1, 2], "idle"],
      [[0], "idle"],
    ]);
    end();
  });

  it.each([
    ["computes", { cpu: 90 }],
    ["writes", { bytes: 1e6 }],
    ["waits for its disk", { waitsForDisk: true }],
    ["waits for the flush of a file that it writes", { saving: "runs/a/checkpoint" }],
  ])("waits for rank 0 as long as it %s", (_, activity) => {
    const { given, end } = watched([activity, {}, {}]);
    seconds(600);
    expect(given).toEqual([]);
    end();
    expect(vi.getTimerCount()).toBe(0);
  });
});
