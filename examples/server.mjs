#!/usr/bin/env node
// @ts-check
// Detection as an HTTP service with hono: node examples/server.mjs runs/nano/weights/best.safetensors 8080
//   curl --data-binary @bird.jpg 'http://127.0.0.1:8080/detect?threshold=0.4'
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { RFDETR, RfdetrError } from "rfdetr";

const [weights = "nano", port = "8080"] = process.argv.slice(2);
const detector = await RFDETR.load(weights);
const app = new Hono();

app.get("/health", (context) => context.json({ model: detector.model, classes: detector.classNames }));

app.post("/detect", bodyLimit({ maxSize: 20 * 2 ** 20 }), async (context) => {
  const threshold = Number(context.req.query("threshold") ?? 0.5);
  try {
    const image = await context.req.arrayBuffer();
    // Bytes, never a path or an address from a stranger; nobody computes for a client that has gone.
    return context.json(await detector.predict(image, { threshold, signal: context.req.raw.signal, transfer: true }));
  } catch (error) {
    if (context.req.raw.signal.aborted) return context.body(null, 408);
    if (RfdetrError.is(error)) return context.json({ error: error.message }, 400);
    throw error;
  }
});

const server = serve({ fetch: app.fetch, hostname: "127.0.0.1", port: Number(port) }, (address) =>
  console.log(`http://127.0.0.1:${address.port}`),
);
for (const signal of ["SIGINT", "SIGTERM"])
  process.once(signal, () => server.close(() => detector.dispose().then(() => process.exit())));
