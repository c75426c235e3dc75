// Python wheels: downloaded by pip, checked against their own list of hashes, and unpacked in part.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  closeSync,
  createReadStream,
  createWriteStream,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { pip, workingFolder } from "./python.mjs";
import { progressBar } from "./report.mjs";
import { untilDone } from "./stopping.mjs";
import { openEntry, readDirectory, readEntry } from "./zip.mjs";

/**
 * @typedef {object} Download
 * @property {string} python the interpreter whose pip is used
 * @property {string} requirement
 * @property {string[]} platforms
 * @property {string} folder
 * @property {string} label
 * @property {number} bytes size of the wheel
 * @property {string[]} [extra] further options of pip
 */

/**
 * Fetches wheels into a folder with `pip download`, showing the growth of its files against `bytes`.
 * @param {Download} job
 * @returns {Promise<string>} the wheel's path. @throws Error with pip's last lines
 */
export async function downloadWheel({ python, requirement, platforms, folder, label, bytes, extra = [] }) {
  mkdirSync(folder, { recursive: true });
  // pip keeps the growing file in TMPDIR until it is whole.
  const temporary = join(folder, "growing");
  mkdirSync(temporary, { recursive: true });
  const args = pip([
    "download",
    "--no-deps",
    "--no-cache-dir",
    "--disable-pip-version-check",
    "--progress-bar",
    "off",
    "--only-binary=:all:",
    "--implementation",
    "cp",
    "--python-version",
    "3.11",
    "--abi",
    "cp311",
    "--abi",
    "none",
    ...platforms.flatMap((p) => ["--platform", p]),
    "--dest",
    folder,
    ...extra,
    requirement,
  ]);
  // Small ones come beside the large one.
  const bar = bytes > 1e8 ? progressBar(label, bytes) : { update() {}, end() {} };
  const output = [];
  const child = spawn(python, args, {
    cwd: workingFolder,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, TMPDIR: temporary },
  });
  const isDone = untilDone(() => child.kill());
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => output.push(String(chunk)));
  const timer = setInterval(() => bar.update(folderBytes(folder)), 200);
  const code = await new Promise((resolve, reject) => child.on("error", reject).on("close", resolve));
  clearInterval(timer);
  isDone();
  const name = requirement.split("==")[0].replaceAll("-", "_").toLowerCase();
  const wheel = readdirSync(folder).find((file) => file.toLowerCase().startsWith(`${name}-`) && file.endsWith(".whl"));
  if (code === 0 && wheel !== undefined) bar.update(bytes);
  bar.end();
  if (code !== 0 || wheel === undefined) throw new Error(output.join("").trim().split("\n").slice(-3).join(" / "));
  return join(folder, wheel);
}

/**
 * Checks that a wheel is the published one. Nothing of it may be used before.
 * @param {string} path @param {string} sha256 of the whole file, in hex
 * @throws Error for any other file
 */
export async function checkHash(path, sha256) {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  const found = hash.digest("hex");
  if (found !== sha256)
    throw new Error(`${path} is not the published wheel: its SHA-256 is ${found} instead of ${sha256}`);
}

/**
 * Bytes of the files below a folder. What is removed meanwhile, by pip or after a failed download, is not counted.
 * @param {string} folder @returns {number}
 * @internal for tests
 */
export function folderBytes(folder) {
  /** @type {import("node:fs").Dirent[]} */
  let entries = [];
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch {}
  return entries.reduce((total, entry) => {
    const path = join(folder, entry.name);
    return total + (entry.isDirectory() ? folderBytes(path) : (statSync(path, { throwIfNoEntry: false })?.size ?? 0));
  }, 0);
}

/**
 * File name → sha256 in hex, from the wheel's RECORD. @param {string} text
 * @internal for tests
 */
export function parseRecord(text) {
  const hashes = new Map();
  for (const line of text.split(/\r?\n/)) {
    const match = /^"?(.+?)"?,sha256=([\w-]+)=*,\d*$/.exec(line);
    if (match !== null) hashes.set(match[1], Buffer.from(match[2], "base64url").toString("hex"));
  }
  return hashes;
}

/** Bytes of an entry that is read at once. */
const smallEntry = 1 << 20;

/**
 * Unpacks the entries that `wanted` picks and checks each against RECORD. The target must be a folder that nobody takes
 * for finished.
 * @param {string} wheel @param {string} target @param {(name: string) => boolean} wanted @param {string} label
 * @throws Error naming the file whose bytes are not those of the record
 */
export async function unpackWheel(wheel, target, wanted, label) {
  const entries = await readDirectory(wheel);
  const record = entries.find((entry) => entry.name.endsWith(".dist-info/RECORD"));
  if (record === undefined) throw new Error(`${wheel} is no wheel: it has no RECORD`);
  const hashes = parseRecord(await text(await openEntry(wheel, record)));
  const chosen = entries.filter(
    (entry) => !entry.name.endsWith("/") && (wanted(entry.name) || entry.name.endsWith(".dist-info/METADATA")),
  );
  const bar = progressBar(
    label,
    chosen.reduce((sum, entry) => sum + entry.size, 0),
  );
  let done = 0;
  const count = (/** @type {Buffer} */ bytes, /** @type {import("node:crypto").Hash} */ hash) => {
    hash.update(bytes);
    done += bytes.length;
    bar.update(done);
  };
  const archive = openSync(wheel, "r");
  const unpack = async (/** @type {import("./zip.mjs").ZipEntry} */ entry) => {
    if (entry.name.startsWith("/") || entry.name.split("/").includes(".."))
      throw new Error(`${wheel} wants to write outside of its folder: ${entry.name}`);
    const path = join(target, entry.name);
    mkdirSync(dirname(path), { recursive: true });
    const hash = createHash("sha256");
    if (entry.size <= smallEntry) {
      const bytes = readEntry(wheel, archive, entry);
      writeFileSync(path, bytes);
      count(bytes, hash);
    } else
      await pipeline(
        await openEntry(wheel, entry),
        async function* (source) {
          for await (const chunk of source) {
            count(chunk, hash);
            yield chunk;
          }
        },
        createWriteStream(path),
      );
    // RECORD cannot hold its own hash.
    if (entry.size > 0 && entry !== record && hashes.get(entry.name) !== hash.digest("hex"))
      throw new Error(`${entry.name} in ${wheel} is damaged: its bytes are not those of the wheel's RECORD`);
  };
  // Side by side, the largest first: nearly all bytes are in one file, and nearly all files are small.
  const queue = chosen.sort((a, b) => b.size - a.size);
  const worker = async () => {
    for (let entry = queue.shift(); entry !== undefined; entry = queue.shift()) await unpack(entry);
  };
  try {
    await Promise.all(Array.from({ length: 4 }, worker));
  } finally {
    closeSync(archive);
  }
  bar.end();
}

/** @param {NodeJS.ReadableStream} stream */
async function text(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
