import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resolveSettings } from "../../settings/resolve.js";
import type { TrainEvent } from "../events/events.js";
import { TrainRun } from "../train-run.js";
import { fetchWeights } from "./fetch-weights.js";

const folder = mkdtempSync(join(tmpdir(), "start-"));
const datasetDir = join(folder, "data");
const content = Buffer.alloc(10_000, 7);
const published = {
  nano: { file: "nano.pth", path: "nano.pth", md5: createHash("md5").update(content).digest("hex") },
};
let server: Server;
let mirror: string;
let asked = 0;

beforeAll(async () => {
  mkdirSync(join(datasetDir, "train"), { recursive: true });
  writeFileSync(join(datasetDir, "train", "_annotations.coco.json"), "{}");
  server = createServer((_, response) => {
    asked++;
    response.end(content);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

const from = (options: object) => ({ mirror, published, folder: join(folder, "cache"), ...options });

describe("the weights that a run begins with", () => {
  it("are not downloaded before the data are found", async () => {
    const settings = resolveSettings({ datasetDir: join(folder, "dat") });
    await expect(fetchWeights(settings, from({}))).rejects.toThrow(`did you mean ${datasetDir}?`);
    expect(asked).toBe(0);
  });

  it("become the path of the file that was downloaded", async () => {
    const { weights } = await fetchWeights(resolveSettings({ datasetDir }), from({}));
    expect(readFileSync(weights as string).equals(content)).toBe(true);
    expect(asked).toBe(1);
  });

  it("are none where none are wanted", async () => {
    const settings = resolveSettings({ datasetDir, weights: "none" });
    expect(await fetchWeights(settings, from({ folder: "/nowhere" }))).toBe(settings);
  });
});

describe("a run whose weights must be downloaded", () => {
  it("says so, and fails with the ways on where it cannot", async () => {
    const { RFDETR_WEIGHTS_URL, RF_HOME } = process.env;
    Object.assign(process.env, { RFDETR_WEIGHTS_URL: mirror, RF_HOME: join(folder, "other") });
    const events: TrainEvent[] = [];
    try {
      const run = TrainRun.start(resolveSettings({ datasetDir }));
      const read = async (): Promise<void> => {
        for await (const event of run) events.push(event);
      };
      await expect(read()).rejects.toThrow("The download of nano from");
    } finally {
      Object.assign(process.env, { RFDETR_WEIGHTS_URL, RF_HOME });
    }
    expect(events[0]).toEqual({
      type: "preparing",
      what: expect.stringMatching(/^downloading the weights of nano: .+ of .+/),
    });
  });

  it("is ended by a stop", async () => {
    const run = TrainRun.start(resolveSettings({ datasetDir }));
    run.stop();
    await expect(run.result).rejects.toThrow("The download of the weights was stopped");
  });
});
