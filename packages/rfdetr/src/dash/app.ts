// The routes of the live page.
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { HTTPException } from "hono/http-exception";
import { RfdetrError } from "../support/errors.js";
import { guard, type Keys } from "./http/guard.js";
import { liveEvents } from "./http/live.js";
import { pageFile } from "./http/page-files.js";
import { controlRun, controlsOf } from "./runs/controls.js";
import { ownFile, type RunFolder } from "./runs/run-folders.js";
import type { DashState } from "./state.js";
import { epochColumns, stepColumns, watchedSteps } from "./views/columns.js";
import { runDetails } from "./views/details.js";
import { evaluationOf } from "./views/evaluation.js";
import { exponentMap } from "./views/exponent-map.js";
import { NamedImages } from "./views/images.js";
import { rankView } from "./views/rank-view.js";

/** Bytes of a request that changes a run. */
const longestRequest = 4096;

const pictureTypes: Readonly<Record<string, string>> = {
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  png: "image/png",
  webp: "image/webp",
  svg: "image/svg+xml",
};

/** A whole number of a query; 0 for anything else. */
const whole = (text: string | undefined): number => (/^\d{1,15}$/.test(text ?? "") ? Number(text) : 0);

/**
 * The server of the live page as a function of requests.
 * @param port on which it listens; 0 until it does
 */
export function dashApp(state: DashState, keys: Keys, port: () => number): Hono {
  const { folders, rows } = state;
  const app = new Hono();
  const named = new Map<string, NamedImages>();
  const namesOf = (run: RunFolder): NamedImages => {
    const names = named.get(run.id) ?? new NamedImages();
    named.set(run.id, names);
    return names;
  };
  const only = (): string => (folders.only === null ? "" : `#/run/${folders.only.id}`);
  app.use(guard(keys, port, only));
  app.onError((error, c) => {
    if (error instanceof HTTPException) return error.getResponse();
    return RfdetrError.is(error)
      ? c.json({ error: error.message }, 400)
      : c.json({ error: "The server met a fault" }, 500);
  });
  app.notFound((c) => c.text("There is nothing here.\n", 404));
  app.get("/", (c) => c.body(pageFile("index.html", keys)?.body ?? "", 200, { "content-type": "text/html" }));
  app.get("/page/:file", (c) => {
    const file = pageFile(c.req.param("file"), keys);
    return file === null ? c.notFound() : c.body(file.body, 200, { "content-type": file.type });
  });
  app.get("/api/runs", (c) => c.json(folders.list().map((run) => rows.row(run))));
  app.get("/api/events", (c) => liveEvents(c, state));
  addRunData(app, state, namesOf);
  addFiles(app, state, namesOf);
  app.post("/api/runs/:id/control", bodyLimit({ maxSize: longestRequest }), async (c) => {
    const run = folders.get(c.req.param("id"));
    if (run === null) return c.notFound();
    return c.json({ said: await controlRun(run, await c.req.json().catch(() => null)) });
  });
  return app;
}

/** The record of a run, in the parts that the page shows. */
function addRunData(app: Hono, { folders, rows, open }: DashState, namesOf: (run: RunFolder) => NamedImages): void {
  /** A route below a run; its handler gives what is sent as JSON, null where there is nothing yet. */
  const ofRun = (
    path: string,
    answer: (run: RunFolder, query: (name: string) => string | undefined) => unknown,
  ): void => {
    app.get(`/api/runs/:id/${path}`, async (c) => {
      const run = folders.get(c.req.param("id"));
      return run === null ? c.notFound() : c.json((await answer(run, (name) => c.req.query(name))) ?? null);
    });
  };
  const has = (query: (name: string) => string | undefined) => ({
    generation: whole(query("generation")),
    count: whole(query("count")),
    records: whole(query("records")),
  });
  ofRun("details", async (run) => runDetails(rows.row(run), await open.curves(run), controlsOf(run)));
  ofRun("epochs", async (run, query) => epochColumns((await open.curves(run)).record.metrics, whole(query("from"))));
  ofRun("steps", async (run, query) => stepColumns(await open.curves(run), has(query)));
  ofRun("ranks", async (run) => rankView((await open.curves(run)).record.numerics.ranks));
  ofRun("watched", async (run, query) => watchedSteps(await open.watched(run), has(query), namesOf(run)));
  ofRun("exponents", async (run, query) =>
    exponentMap(
      await open.watched(run),
      query("path") ?? "",
      query("side") === "gradient" ? "gradient" : "forward",
      namesOf(run),
    ),
  );
  ofRun("evaluation", async (run) => evaluationOf((await open.curves(run)).record, namesOf(run)));
}

/** Images of the data that a record of the run names, and pictures in its folder. */
function addFiles(app: Hono, { folders: runs, open }: DashState, namesOf: (run: RunFolder) => NamedImages): void {
  app.get("/api/runs/:id/images/:image", async (c) => {
    const run = runs.get(c.req.param("id"));
    if (run === null) return c.notFound();
    const data = (await open.curves(run)).record.config?.data;
    if (data === undefined) return c.notFound();
    const places = [data.path, resolve(run.path, String(data.relative))];
    const place = { was: data.path, is: places.find((each) => existsSync(each)) ?? data.path };
    const jpeg = await namesOf(run).jpeg(place, c.req.param("image"));
    return c.body(new Uint8Array(jpeg), 200, { "content-type": "image/jpeg" });
  });
  app.get("/api/runs/:id/pictures/:file", async (c) => {
    const run = runs.get(c.req.param("id"));
    if (run === null) return c.notFound();
    // Only what the index of the pictures names, and only if it lies there itself.
    const { pictures } = (await open.curves(run)).record;
    const picture = pictures.find(({ file }) => file === c.req.param("file"));
    const path = picture === undefined ? null : ownFile(run.path, "pictures", picture.file);
    const type = pictureTypes[(path ?? "").split(".").at(-1)?.toLowerCase() ?? ""];
    if (path === null || type === undefined) return c.notFound();
    // A drawing may have styles of its own, but is no page: it runs nothing and loads nothing.
    if (type === pictureTypes.svg)
      c.header("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox");
    return c.body(new Uint8Array(readFileSync(path)), 200, { "content-type": type });
  });
}
