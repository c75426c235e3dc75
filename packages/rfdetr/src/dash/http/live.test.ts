import { appendFileSync, mkdtempSync, realpathSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { recordLine } from "@rfdetr/amp/records";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeExampleRun } from "../../testing/runs/example-run.js";
import { stepRecord } from "../../testing/runs/numerics-records.js";
import { RunFolders } from "../runs/run-folders.js";
import { RunRows } from "../runs/run-row.js";
import { type Dash, startDash } from "../server.js";
import type { EpochColumns, RunsEvent, StepColumns, WatchedSteps } from "../wire.js";

const runs = realpathSync(mkdtempSync(join(tmpdir(), "dash-")));
let dash: Dash;
let cookie = "";

beforeAll(async () => {
  writeExampleRun(join(runs, "a"), { steps: 2000, watchedEvery: 10, layers: 1 });
  writeExampleRun(join(runs, "b"), { steps: 20, watchedEvery: 0 });
  writeExampleRun(join(runs, "cut"), { steps: 30, watchedEvery: 10 });
  dash = await startDash({ folder: runs, port: 0 });
  cookie = (await fetch(dash.url)).headers.get("set-cookie")?.split(";")[0] ?? "";
});
afterAll(async () => {
  await dash.close();
  rmSync(runs, { recursive: true });
});

async function get<T>(path: string): Promise<T> {
  return (await (await fetch(`http://127.0.0.1:${dash.port}${path}`, { headers: { cookie } })).json()) as T;
}

/** The events of the list; the connection ends with the test. */
async function* events(signal: AbortSignal): AsyncGenerator<RunsEvent> {
  const answer = await fetch(`http://127.0.0.1:${dash.port}/api/events`, { headers: { cookie }, signal });
  let text = "";
  for await (const part of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += part;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const data = /^data: (\{.*)$/m.exec(text.slice(0, end))?.[1];
      text = text.slice(end + 2);
      if (data !== undefined) yield JSON.parse(data) as RunsEvent;
    }
  }
}

describe("the events", () => {
  it("tell the whole list first, then only what has changed", async () => {
    const stop = new AbortController();
    const stream = events(stop.signal);
    const first = (await stream.next()).value as RunsEvent;
    expect(first.changed.map(({ name }) => name)).toEqual(["a", "b", "cut"]);
    appendFileSync(join(runs, "b", "metrics.csv"), "2,100,0.0001,5,1,1,1,0.9,0.95,0\n");
    const second = (await stream.next()).value as RunsEvent;
    expect(second.changed).toHaveLength(1);
    expect(second.changed[0]).toMatchObject({ name: "b", epoch: 2, step: 100, best: 0.9 });
    writeExampleRun(join(runs, "c"), { steps: 10 });
    rmSync(join(runs, "b"), { recursive: true });
    const third = (await stream.next()).value as RunsEvent;
    expect(third.changed.map(({ name }) => name)).toEqual(["c"]);
    expect(third.removed).toEqual([second.changed[0].id]);
    stop.abort();
  });

  it("of many pages cost one look at the files", () => {
    let lists = 0;
    const folders = new RunFolders(runs);
    const list = folders.list.bind(folders);
    folders.list = () => {
      lists++;
      return list();
    };
    const rows = new RunRows(() => "running");
    const pages = Array.from({ length: 200 }, () => rows.all(folders));
    expect(lists).toBe(1);
    expect(pages[199].map(({ name }) => name)).toEqual(["a", "c", "cut"]);
  });
});

describe("the columns of a run", () => {
  it("are few for many steps, and only what a page lacks is sent again", async () => {
    const [{ id }] = await get<{ id: string }[]>("/api/runs");
    const whole = await get<StepColumns>(`/api/runs/${id}/steps?generation=0&count=0`);
    expect(whole.size).toBe(4);
    expect(whole.step.length).toBe(500);
    expect(whole.step.at(-1)).toBe(2000);
    const { generation } = whole;
    const more = await get<StepColumns>(`/api/runs/${id}/steps?generation=${generation}&count=500`);
    expect([more.from, more.step.length]).toEqual([499, 1]);
    const step = stepRecord(2001, { scale: 1, loss: Number.NaN, skipped: true, grad_norm: Number.POSITIVE_INFINITY });
    appendFileSync(join(runs, "a", "numerics.jsonl"), `${recordLine(step)}\n{"v":1,"kind":"st`);
    const next = await get<StepColumns>(`/api/runs/${id}/steps?generation=${generation}&count=500`);
    expect([next.from, next.step, next.loss.at(-1), next.skipped.at(-1)]).toEqual([499, [2000, 2001], null, 1]);
    const rows = await get<EpochColumns>(`/api/runs/${id}/epochs?from=39`);
    expect([rows.rows, rows.from, rows.columns.epoch]).toEqual([40, 39, [40]]);
  });

  it("are sent whole again after the log was cut back, as a resumed run does", async () => {
    const listed = await get<{ id: string; name: string }[]>("/api/runs");
    const id = listed.find(({ name }) => name === "cut")?.id;
    const before = await get<StepColumns>(`/api/runs/${id}/steps?generation=0&count=0`);
    rmSync(join(runs, "cut"), { recursive: true });
    writeExampleRun(join(runs, "cut"), { steps: 12, watchedEvery: 10, seed: 2 });
    const after = await get<StepColumns>(`/api/runs/${id}/steps?generation=${before.generation}&count=30`);
    expect([after.from, after.step.length, after.generation > before.generation]).toEqual([0, 12, true]);
  });

  it("of watched steps tell headroom by module, and are thinned", async () => {
    const [{ id }] = await get<{ id: string }[]>("/api/runs");
    const watched = await get<WatchedSteps>(`/api/runs/${id}/watched?generation=0&count=0`);
    expect(watched.steps.length).toBeLessThanOrEqual(96);
    expect(watched.steps.at(-1)).toBe(2000);
    const { generation, records } = watched;
    expect(records).toBe(201);
    const more = await get<WatchedSteps>(`/api/runs/${id}/watched?generation=${generation}&count=0&records=${records}`);
    expect([more.from, more.steps, more.modules]).toEqual([watched.steps.length, [], []]);
    for (const { forward, gradient } of watched.modules) {
      expect(forward?.dtype).toBe("float16");
      expect([forward?.top.length, gradient?.flushed.length]).toEqual([watched.steps.length, watched.steps.length]);
    }
    const path = encodeURIComponent(watched.modules[0].path);
    const map = await get<{ rows: number; shares: number[][] }>(`/api/runs/${id}/exponents?path=${path}&side=forward`);
    expect(map.shares).toHaveLength(watched.steps.length);
    expect(map.shares.every((shares) => shares.length === map.rows)).toBe(true);
    // Far less is sent than the log has.
    const log = statSync(join(runs, "a", "numerics.jsonl")).size;
    expect(JSON.stringify(watched).length).toBeLessThan(log / 20);
  });
});
