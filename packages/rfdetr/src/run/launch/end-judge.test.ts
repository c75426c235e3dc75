import { describe, expect, it } from "vitest";
import type { Activity } from "../../support/machine/process-activity.js";
import { EndJudge } from "./end-judge.js";

/** What a process does in the time between two looks; `dead`: it does not look any more. */
interface Does extends Partial<Activity> {
  asked?: boolean;
  saves?: boolean;
  dead?: boolean;
}

const silentWords =
  "gave no sign for 3 seconds after all were asked to save and end: it was stopped, as by SIGSTOP or a debugger, or its host or network is gone";
const idleWords = "was given up, since no process did anything for 3 seconds after all were asked to save and end";

/** Processes with one store, and which of them were given up. */
function group(does: Does[]) {
  const store = new Map<string, string>();
  const given: [rank: number, why: string][] = [];
  const aborted: number[] = [];
  const judges = does.map((_own, rank) => {
    const done: Activity = { cpu: 0, bytes: 0, isStopped: false, waitsForDisk: false };
    return new EndJudge(
      { set: (key, value) => void store.set(key, value), tryGet: (key) => store.get(key) ?? null },
      { rank, size: does.length },
      3,
      {
        asked: () => does[rank].asked ?? true,
        saves: () => does[rank].saves ?? false,
        activity: () => {
          done.cpu += does[rank].cpu ?? 0;
          done.bytes += does[rank].bytes ?? 0;
          return { ...done, waitsForDisk: does[rank].waitsForDisk ?? false };
        },
        abort: () => aborted.push(rank),
      },
    );
  });
  const look = (times: number): void => {
    for (let i = 0; i < times; i++)
      for (const [rank, judge] of judges.entries()) {
        if (does[rank].dead) continue;
        const why = judge.look();
        if (why === null) continue;
        given.push([rank, why]);
        does[rank].dead = true;
      }
  };
  const failure = (rank: number): unknown => JSON.parse(store.get(`failure/${rank}`) ?? "null");
  return { given, aborted, look, judges, store, failure };
}

describe("processes of another launcher that are to end", () => {
  it("go on without one that gives no sign, which rank 0 names", () => {
    const { given, aborted, look, failure } = group([{ cpu: 90 }, { dead: true }, { cpu: 90 }]);
    look(2);
    expect(aborted).toEqual([]);
    look(20);
    expect([given, aborted]).toEqual([[], [0]]);
    expect(failure(1)).toEqual({ message: silentWords, isGivenUp: true });
    expect(failure(2)).toBeNull();
  });

  it("are given up where none does anything: first all but rank 0, which saves then, and at last rank 0", () => {
    const { given, aborted, look } = group([{}, { cpu: 1 }, { bytes: 100 }]);
    look(5);
    expect([given, aborted]).toEqual([
      [
        [1, idleWords],
        [2, idleWords],
      ],
      [0],
    ]);
    look(10);
    expect(given[2]).toEqual([0, idleWords]);
  });

  it.each([
    ["computes", { cpu: 90 }],
    ["writes", { bytes: 1e6 }],
    ["waits for its disk", { waitsForDisk: true }],
    ["waits for the flush of a file that it writes", { saves: true }],
  ])("wait for one that %s, whichever it is", (_, activity) => {
    for (const rank of [0, 2]) {
      const { given, aborted, look } = group([{}, {}, {}].map((idle, other) => (other === rank ? activity : idle)));
      look(600);
      expect([given, aborted]).toEqual([[], []]);
    }
  });

  it("are not judged before one of them was asked, and then all, whoever that was", () => {
    const does: Does[] = [{ asked: false }, { asked: false }, { asked: false, dead: true }];
    const { given, aborted, look, failure } = group(does);
    look(600);
    expect([given, aborted]).toEqual([[], []]);
    does[1].asked = true;
    look(5);
    expect(failure(2)).toEqual({ message: silentWords, isGivenUp: true });
    expect(aborted).toEqual([0]);
  });

  it("do not wait for a sign of one that has ended by itself", () => {
    const does: Does[] = [{ cpu: 90 }, {}, {}];
    const { aborted, look, judges } = group(does);
    look(1);
    judges[1].leave();
    does[1].dead = true;
    look(600);
    expect(aborted).toEqual([]);
  });

  it("keep what one has said of its own failure", () => {
    const { look, store, failure } = group([{ cpu: 90 }, { dead: true }]);
    store.set("failure/1", '{"message":"Memory ran out"}');
    look(10);
    expect(failure(1)).toEqual({ message: "Memory ran out" });
  });
});
