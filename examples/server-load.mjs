#!/usr/bin/env node
// @ts-check
// Sixteen clients, each of which sends its next image when it has its answer, and one that asks for /health all the
// while: node examples/server-load.mjs http://127.0.0.1:8080 bird.jpg 20
// One whose image is not taken tries again when the server says.
import { readFileSync, statSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";

const [address = "http://127.0.0.1:8080", file = "bird.jpg", requests = "20"] = process.argv.slice(2);
const clients = 16;
/** @param {string} why @returns {never} */
function fail(why) {
  console.error(why);
  process.exit(1);
}
if (!(Number(requests) > 0)) fail(`Expected a number of requests of each client but received ${requests}`);
if (!statSync(file, { throwIfNoEntry: false })?.isFile())
  fail(`Expected an image to send but ${file} is no file: give one as the second argument`);
const image = readFileSync(file);
/** @type {number[]} */
const detecting = [];
/** @type {number[]} */
const health = [];
/** @type {Record<number, number>} */
const answers = {};

/** @param {string} path @param {RequestInit} options @param {number[]} times */
async function timed(path, options, times) {
  const begin = performance.now();
  const response = await fetch(address + path, options).catch(({ message, cause }) =>
    fail(`Expected a server at ${address} but ${cause?.message ?? message}: start it with node examples/server.mjs`),
  );
  await response.arrayBuffer();
  if (response.ok) times.push(performance.now() - begin);
  return response;
}

async function client() {
  for (let left = Number(requests); left > 0; ) {
    const { status, headers } = await timed("/detect", { method: "POST", body: image }, detecting);
    answers[status] = (answers[status] ?? 0) + 1;
    if (status === 503) await wait(1000 * Number(headers.get("retry-after") ?? 1));
    else left--;
  }
}

const begin = performance.now();
let isOver = false;
const all = Promise.all(Array.from({ length: clients }, client)).finally(() => (isOver = true));
while (!isOver) {
  await timed("/health", {}, health);
  await wait(20);
}
await all;
const seconds = (performance.now() - begin) / 1000;
/** @param {number[]} times @param {number} share */
const quantile = (times, share) => times.sort((a, b) => a - b)[Math.floor(share * (times.length - 1))]?.toFixed(1);
console.log(
  JSON.stringify({
    ...{ clients, answers, images_per_second: Number((detecting.length / seconds).toFixed(2)) },
    detect_ms: { median: quantile(detecting, 0.5), p95: quantile(detecting, 0.95) },
    health_ms: { median: quantile(health, 0.5), p95: quantile(health, 0.95) },
  }),
);
