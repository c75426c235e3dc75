#!/usr/bin/env node
// @ts-check
// Watches a folder: detects objects in every new picture and writes what it found beside it, as NAME.json. Pictures
// that were there before and have no JSON are done first. node examples/watch-folder.mjs inbox/ nano
//
// A picture may still be written while it is found: it is taken when its size and time have not changed between two
// looks, and once more if it does not decode and has changed since. Looking is used rather than the events of the
// system: it works on network folders, and misses nothing.
import { existsSync, readdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { RFDETR, RfdetrError } from "rfdetr";
import { fail } from "./errors.mjs";

const [folder = "inbox/", weights = "nano", every = "1000"] = process.argv.slice(2);
if (!existsSync(folder)) fail(`Expected a folder to watch but ${folder} does not exist`);
if (!(Number(every) > 0)) fail(`Expected milliseconds between two looks but received ${every}`);
const detector = await RFDETR.load(weights);
/** @type {Map<string, string>} how each picture looked the last time */
const seen = new Map();
/** @type {Map<string, string>} how each was when it could not be read */
const broken = new Map();

/** A file is there as a whole or not at all. @param {string} path @param {unknown} value */
function write(path, value) {
  writeFileSync(`${path}.part`, JSON.stringify(value, null, 2));
  renameSync(`${path}.part`, path);
}

/** @param {string} name @param {string} look */
async function detect(name, look) {
  const path = join(folder, name);
  try {
    const detections = await detector.predict(path, { threshold: 0.5 });
    write(`${path}.json`, { image: name, detections });
    console.log(`${name}: ${detections.length} found`);
  } catch (error) {
    if (!RfdetrError.is(error)) throw error;
    broken.set(name, look);
    console.error(`${name}: ${error.message}`);
  }
}

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stop.abort());
console.log(`watching ${folder}`);
while (!stop.signal.aborted) {
  const names = readdirSync(folder);
  const done = new Set(names.filter((name) => name.endsWith(".json")));
  for (const name of names.filter((each) => /\.(jpe?g|png|webp)$/i.test(each) && !done.has(`${each}.json`))) {
    const { size, mtimeMs } = statSync(join(folder, name), { throwIfNoEntry: false }) ?? { size: 0, mtimeMs: 0 };
    const look = `${size} ${mtimeMs}`;
    if (size > 0 && seen.get(name) === look && broken.get(name) !== look) await detect(name, look);
    seen.set(name, look);
  }
  await wait(Number(every), undefined, { signal: stop.signal }).catch(() => {});
}
await detector.dispose();
