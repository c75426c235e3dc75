import { hostname } from "node:os";
import { expect, it } from "vitest";
import { resolveModel } from "../../model/variants.js";
import { resolveSettings } from "../../settings/resolve.js";
import type { ReadySettings } from "../../settings/settings.js";
import type { TrainEvent } from "../events/events.js";
import type { TrainData } from "../session/training-data.js";
import { Waits } from "../waits.js";
import { follow } from "./follower.js";
import type { Order, RankStatus } from "./orders.js";
import type { Ranks } from "./ranks.js";

it("names the rank that waits long for its images, and goes on when they come", async () => {
  const settings = resolveSettings({ datasetDir: "-", model: "tiny" }) as ReadySettings;
  let come = (): void => {};
  const images = new Promise<void>((resolve) => {
    come = resolve;
  });
  const data: Partial<TrainData> = {
    stepsPerEpoch: 1,
    leftOut: () => [],
    close: async () => {},
    // biome-ignore lint/correctness/useYield: the epoch has no step left when they have come
    async *steps() {
      await images;
    },
  };
  const orders: Order[] = [
    { do: "open", settings, sizes: { seed: 1, size: 96, evaluationSize: 96 } },
    { do: "build", modelConfig: resolveModel("tiny"), precision: "32-true", overrides: {}, totalSteps: 1 },
    { do: "epoch", epoch: 0, from: 0 },
    { do: "end", done: null },
  ];
  const ranks = {
    rank: 1,
    group: null,
    gather: (own: RankStatus): Partial<RankStatus>[] => [{ order: orders.shift() ?? null, stop: 0 }, own],
    explain: (error: unknown) => error,
    leave: () => {},
  } as unknown as Ranks;
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const events: TrainEvent[] = [];
  const request = { settings, resume: null, stop };
  const waits = new Waits(1, `Rank 1 on ${hostname()}`);
  for await (const event of follow(ranks, request, async () => data as TrainData, waits)) {
    events.push(event);
    expect(orders).toHaveLength(1);
    come();
  }
  expect(events.map((event) => event.type === "warning" && event.message)).toEqual([
    `Rank 1 on ${hostname()} has waited for 0.001 seconds for the images of its next step, and goes on waiting`,
  ]);
  expect(orders).toEqual([]);
});
