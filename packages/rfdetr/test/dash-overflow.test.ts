import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { startDash } from "../src/dash/server.js";
import type { Forecast, RunRow, WatchedSteps } from "../src/dash/wire.js";
import { plantedModule, plantedOverflow } from "../src/testing/runs/planted-overflow.js";
import { squares } from "./squares.js";

const folder = realpathSync(mkdtempSync(join(tmpdir(), "dash-overflow-")));
afterAll(() => rmSync(folder, { recursive: true }));

describe("a page that looks at a run while a weight of it grows", () => {
  it("is told of the overflow before the first step is skipped, and at which step it comes", async () => {
    const dash = await startDash({ folder, port: 0 });
    const cookie = (await fetch(dash.url)).headers.get("set-cookie")?.split(";")[0] ?? "";
    const get = async <T>(path: string): Promise<T> =>
      (await (await fetch(`http://127.0.0.1:${dash.port}${path}`, { headers: { cookie } })).json()) as T;
    const told: { at: number; forecast: Forecast }[] = [];
    let skipped = 0;
    let run = "";
    const training = {
      datasetDir: "-",
      outputDir: join(folder, "run"),
      openData: squares(10),
      maxSteps: 40,
      remedy: false,
    };
    for await (const event of plantedOverflow(training)) {
      if (event.type !== "step" || skipped > 0) continue;
      if (event.skipped) skipped = event.step;
      run ||= (await get<RunRow[]>("/api/runs"))[0]?.id ?? "";
      if (run === "") continue;
      const { forecasts } = await get<WatchedSteps>(`/api/runs/${run}/watched?generation=0&count=0`);
      for (const forecast of skipped > 0 ? [] : forecasts) told.push({ at: event.step, forecast });
    }
    await dash.close();
    expect(skipped).toBeGreaterThan(20);
    expect(new Set(told.map(({ forecast: { side, path, dtype } }) => `${side} ${path} ${dtype}`))).toEqual(
      new Set([`forward ${plantedModule} float16`]),
    );
    expect(told[0].at).toBeLessThanOrEqual(skipped - 10);
    // Of the step before it, or two before: only every second one is watched.
    const last = told[told.length - 1];
    const watched = last.at - (last.at % 2);
    expect(Math.abs(watched + last.forecast.steps - skipped)).toBeLessThanOrEqual(2);
  });
});
