import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { StepResult } from "../../train/step/step.js";
import { initialProgress } from "../steps/progress.js";
import { FaultJudge, type FaultPolicy, loweredRate, mostRollbacks } from "./fault-policy.js";
import { mostlySkipped } from "./run-messages.js";

const noFaults = initialProgress().faults;

const faulty = (loss: number): StepResult =>
  ({ loss, applied: false, fault: { what: "loss", parameter: null } }) as unknown as StepResult;
const policies: FaultPolicy[] = ["skip", "stop", "rollback"];

describe("what a run does about faulty steps", () => {
  it("skips what the loss scale explains under every policy, and follows the policy otherwise", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...policies),
        fc.constantFrom(1, 0.5, 2, 65536),
        fc.constantFrom(3, Number.NaN, Number.POSITIVE_INFINITY),
        (policy, scale, loss) => {
          const explained = scale > 1 && Number.isFinite(loss);
          const verdict = new FaultJudge(policy, noFaults).judge(7, faulty(loss), scale, null);
          expect(verdict).toMatchObject({ action: explained ? "skip" : policy, explained });
          expect("message" in verdict).toBe(verdict.action !== "skip");
        },
      ),
    );
  });

  it("gives up after fifty in a row, with the first of them, and knows the first of all", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 49 }), { maxLength: 5 }), (rows) => {
        const judge = new FaultJudge("skip", noFaults);
        let step = 0;
        for (const row of rows) {
          for (let i = 0; i < row; i++) judge.judge(++step, faulty(Number.NaN), 1, null);
          judge.applied();
          step++;
        }
        const first = step + 1;
        for (let i = 0; i < 49; i++) judge.judge(++step, faulty(Number.NaN), 1, null);
        // A resumed run counts on.
        const resumed = new FaultJudge("skip", judge.state());
        expect(() => resumed.judge(++step, faulty(Number.NaN), 1, null)).toThrow(
          `50 steps in a row were not finite, since step ${first}`,
        );
        expect(resumed.since).toBe(1);
      }),
    );
  });

  it("lowers the learning rate at each rollback, far enough for one that is ten thousand times too high", () => {
    let factor = 1;
    for (let i = 0; i < mostRollbacks; i++) {
      expect(loweredRate(factor, i)).toBeLessThan(factor);
      factor = loweredRate(factor, i);
    }
    expect(factor).toBeLessThanOrEqual(1e-4);
  });
});

describe("a run with skipped steps", () => {
  it("tells the share where most were skipped, and nothing otherwise", () => {
    expect(mostlySkipped({ step: 36, skipped: 34 }, 3)).toMatch(/^34 of 36 steps \(94 %\) .*the first at step 3/);
    fc.assert(
      fc.property(fc.nat(1000), fc.nat(1000), (applied, skipped) => {
        expect(mostlySkipped({ step: applied + skipped, skipped }, null) === null).toBe(skipped <= applied);
      }),
    );
  });
});
