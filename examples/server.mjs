#!/usr/bin/env node
// @ts-check
// Detection as an HTTP service with hono: node examples/server.mjs runs/nano/weights/best.safetensors 8080
//   curl --data-binary @bird.jpg 'http://127.0.0.1:8080/detect?threshold=0.4'    # or best: as the training found
import net from "node:net";
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { PictureError, RFDETR, UsageError } from "rfdetr";
import { fail } from "./errors.mjs";

const [weights = "nano", port = "8080", most = "64"] = process.argv.slice(2);
const megabytes = 20;
if (!(Number(port) >= 0 && Number(port) < 65536 && Number.isInteger(Number(port))))
  fail(`Expected a port, 0 to 65535, as the second argument but received ${port}`);
if (!(Number(most) > 0)) fail(`Expected how many requests may wait as the third argument but received ${most}`);
const detector = await RFDETR.load(weights);
const app = new Hono();
/** Requests without an answer: each holds an image of up to 20 MB in memory. */
let waiting = 0;
let isClosing = false;

app.use(async (context, next) => {
  await next();
  if (!isClosing) return;
  // The answer would be lost with what is unread when the connection closes.
  const { body } = context.req.raw;
  if (body !== null && !body.locked) await body.pipeTo(new WritableStream());
  context.header("connection", "close");
});

app.get("/health", (context) =>
  context.json({ model: detector.model, classes: detector.classNames, waiting }, isClosing ? 503 : 200),
);

app.post("/detect", async (context, next) => {
  if (waiting >= Number(most)) {
    context.header("retry-after", "1");
    return context.json({ error: `${waiting} images wait already` }, 503);
  }
  waiting++;
  try {
    await next();
  } finally {
    waiting--;
  }
});

const onError = (/** @type {import("hono").Context} */ context) =>
  context.json({ error: `Expected an image of at most ${megabytes} MB` }, 413);

app.post("/detect", bodyLimit({ maxSize: megabytes * 1e6, onError }), async (context) => {
  const asked = context.req.query("threshold") ?? 0.5;
  // Words are left to the detector: it knows best and best-by-class, and refuses others.
  const threshold = Number.isNaN(Number(asked)) ? /** @type {"best"} */ (asked) : Number(asked);
  const image = await context.req.arrayBuffer();
  // Bytes, never a path or an address from a stranger; nobody computes for a client that has gone.
  const { signal } = context.req.raw;
  return context.json(await detector.predict(image, { threshold, signal, transfer: true }));
});

app.onError((error, context) => {
  if (context.req.raw.signal.aborted) return context.body(null, 408);
  // What the client can mend.
  if (error instanceof PictureError || error instanceof UsageError) return context.json({ error: error.message }, 400);
  console.error(error);
  return context.json({ error: "The server failed" }, 500);
});

const options = { fetch: app.fetch, hostname: "127.0.0.1", port: Number(port) };
const server = /** @type {import("node:http").Server} */ (
  serve(options, (address) => console.log(`http://127.0.0.1:${address.port}`))
);
server.on("error", async (/** @type {NodeJS.ErrnoException} */ { code, message }) => {
  await detector.dispose();
  const taken = `is taken by another program: give another as the second argument, or 0 for any that is free`;
  fail(`Port ${port} ${code === "EADDRINUSE" ? taken : `cannot be had: ${message}`}`);
});
/** @type {Set<net.Socket>} */
const sockets = new Set();
server.on("connection", (socket) => {
  sockets.add(socket);
  socket.once("close", () => sockets.delete(socket));
});
// What arrives is answered, for ten seconds at most. No connection is accepted any more, and an answer closes its own;
// those that clients keep without a request close a second later, since a request may be on its way on them. Node
// counts a connection that never sent anything as busy.
for (const signal of ["SIGINT", "SIGTERM"])
  process.once(signal, () => {
    isClosing = true;
    // The close() of an HTTP server would close those at once.
    net.Server.prototype.close.call(server, () => detector.dispose().then(() => process.exit()));
    setTimeout(() => {
      server.closeIdleConnections();
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
    }, 1000).unref();
    setTimeout(() => process.exit(1), 10_000).unref();
  });
