// Serves the folder of a page to the browsers of this machine, isolated, so that WebAssembly has threads.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createAdaptorServer } from "@hono/node-server";
import { serveStatic } from "@hono/node-server/serve-static";
import { Hono } from "hono";
import { UsageError } from "../support/errors.js";
import { closeServer, listenLocally, localHost } from "../support/machine/listen.js";
import { modelFile } from "./demo-page.js";

/** The port that is tried where none is asked for, so that the address stays alike. */
const usualPort = 8080;

/** A page that is served. */
export interface ServedPage {
  url: string;
  port: number;
  /** Ends it, with all connections. */
  close(): Promise<void>;
}

/**
 * Serves the folder of a page to this machine.
 * @param port default: 8080, or any that is free
 * @throws UsageError for a folder that holds no page, and for a port that cannot be had
 */
export async function servePage(folder: string, port?: number): Promise<ServedPage> {
  if (!existsSync(join(folder, modelFile)))
    throw new UsageError(`Expected the folder of a page but ${folder} is none: rfdetr demo-page makes one`);
  return serveFolders({ "/": folder }, { port });
}

/**
 * Serves folders to this machine, each below its prefix; the first prefix that fits counts.
 * @param isolated whether pages may use threads
 * @throws UsageError for a port that cannot be had
 */
export async function serveFolders(
  folders: Readonly<Record<string, string>>,
  { port, isolated = true }: { port?: number; isolated?: boolean } = {},
): Promise<ServedPage> {
  let listening = 0;
  const app = new Hono();
  app.use(async (c, next) => {
    // A page of another name that leads to this machine shall not read the detector.
    if (![localHost, "localhost"].some((name) => c.req.header("host") === `${name}:${listening}`))
      return c.body(null, 403);
    await next();
    if (isolated) {
      c.header("cross-origin-opener-policy", "same-origin");
      c.header("cross-origin-embedder-policy", "require-corp");
      c.header("cross-origin-resource-policy", "same-origin");
    }
    // A page that was written anew shows at once.
    c.header("cache-control", "no-cache");
  });
  for (const [prefix, root] of Object.entries(folders))
    app.use(`${prefix}*`, serveStatic({ root, rewriteRequestPath: (path) => path.slice(prefix.length - 1) }));
  app.notFound((c) => c.text("There is nothing here.\n", 404));
  const server = createAdaptorServer({ fetch: app.fetch });
  listening = await listenLocally(server, port, usualPort);
  return { url: `http://${localHost}:${listening}/`, port: listening, close: () => closeServer(server) };
}
