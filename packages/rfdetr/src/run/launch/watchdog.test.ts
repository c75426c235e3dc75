import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { watchThread } from "./watchdog.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const place = { rank: 1, timeoutSeconds: 60, address: "10.0.0.1", port: 29_500 };

describe("a training thread that is watched", () => {
  it.each([0, 1])(
    "counts as stuck when it has not met the others for half as long again as the timeout: rank %i",
    (rank) => {
      const [shared, stuck] = [new Int32Array(2), vi.fn()];
      watchThread(shared, { ...place, rank }, stuck);
      for (let second = 0; second < 200; second += 50) {
        vi.advanceTimersByTime(50_000);
        shared[1] = (shared[1] as number) + 1;
      }
      expect(stuck).not.toHaveBeenCalled();
      vi.advanceTimersByTime(100_000);
      expect(stuck).toHaveBeenCalledOnce();
      expect(stuck.mock.calls[0]?.[0]).toMatchObject({
        code: "ERR_RANK",
        message: expect.stringMatching(new RegExp(`^Rank ${rank} on .* for 90 seconds$`)),
      });
    },
  );

  it("has three timeouts to join: for rank 0, for all ranks, and for its connections to them", () => {
    const [shared, stuck] = [new Int32Array(2), vi.fn()];
    watchThread(shared, place, stuck);
    vi.advanceTimersByTime(179_000);
    expect(stuck).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1000);
    expect(stuck.mock.calls[0]?.[0]).toMatchObject({
      message: expect.stringMatching(/^Rank 1 on .* has not joined the others at 10\.0\.0\.1:29500 after 180 seconds$/),
      hint: "Check the network and the firewalls between the hosts",
    });
  });

  it("is not looked at any more when it has ended", () => {
    const stuck = vi.fn();
    watchThread(new Int32Array(2), place, stuck)();
    vi.advanceTimersByTime(1_000_000);
    expect(stuck).not.toHaveBeenCalled();
  });
});
