// Wheels from an index of wheels (PEP 503), without Python: found by their tags, downloaded in parts that an
// interrupted download continues, and checked against a hash.
import { createWriteStream, mkdirSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { progressBar } from "./report.mjs";

/** PyTorch's own index of wheels for the CPU: without NVIDIA's libraries, less than half of the bytes. */
const pytorchIndex = "https://download.pytorch.org/whl/cpu";

/** The index to ask, or the one that the user names. */
export const wheelIndex = () => (process.env.RFDETR_WHEEL_INDEX || pytorchIndex).replace(/\/+$/, "");

/** @typedef {{url: string, file: string, version: string, sha256: string}} IndexedWheel */

/** Milliseconds until a server must have answered with a page. */
const patience = 5000;
/** Milliseconds between two parts of a download. */
const stallLimit = 60_000;

/**
 * Asks a server. Proxies come from the usual variables.
 * @param {string} url @param {AbortSignal} signal @param {Record<string, string>} [headers]
 */
async function ask(url, signal, headers = {}) {
  const proxied = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"].some((name) => process.env[name]);
  if (!proxied) return await fetch(url, { signal, headers });
  const { EnvHttpProxyAgent, fetch: proxiedFetch } = await import("undici");
  return /** @type {Response} */ (
    /** @type {unknown} */ (await proxiedFetch(url, { signal, headers, dispatcher: new EnvHttpProxyAgent() }))
  );
}

/** In words that name the server. @param {string} url @param {any} error */
function failure(url, error) {
  const reason = error.name === "TimeoutError" ? "no answer in time" : (error.cause?.message ?? error.message);
  return new Error(`${new URL(url).host}: ${reason}`, { cause: error });
}

/**
 * The wheel of a requirement that runs on this machine.
 * @param {string} index @param {string} requirement such as `torch==2.15.0`; a build for the CPU (`2.15.0+cpu`) serves
 * @param {(platform: string) => boolean} fits whether a platform tag, such as `manylinux_2_28_x86_64`, does
 * @returns {Promise<IndexedWheel>} @throws Error naming the server and what is wrong
 */
export async function findWheel(index, requirement, fits) {
  const [project, version] = requirement.split("==");
  const page = `${index}/${project.toLowerCase().replace(/[-_.]+/g, "-")}/`;
  let text;
  try {
    const response = await ask(page, AbortSignal.timeout(patience), { accept: "text/html" });
    if (!response.ok) throw new Error(`the server answers ${response.status} ${response.statusText}`.trim());
    text = await response.text();
  } catch (error) {
    throw failure(page, error);
  }
  const found = [...text.matchAll(/<a\b[^>]*\bhref="([^"]+)"/gi)]
    .flatMap(([, href]) => asWheel(new URL(href.replaceAll("&amp;", "&"), page)))
    .filter((wheel) => [version, `${version}+cpu`].includes(wheel.version) && wheel.platforms.some(fits))
    // What a libtorch is does not depend on the Python that a wheel is for; one and the same is taken every time.
    .sort((a, b) => Number(b.python === "cp311") - Number(a.python === "cp311"));
  const [wheel] = found;
  if (wheel === undefined) throw new Error(`${new URL(page).host}: no wheel of ${requirement} for this machine`);
  return wheel;
}

/** @param {URL} url */
function asWheel(url) {
  const file = decodeURIComponent(url.pathname.split("/").at(-1) ?? "");
  const name = /^[^-]+-([^-]+)(?:-\d[^-]*)?-([^-]+)-([^-]+)-([^-]+)\.whl$/.exec(file);
  const sha256 = /^#sha256=([0-9a-f]{64})$/.exec(url.hash)?.[1];
  if (name === null || sha256 === undefined) return [];
  const [, version, python, , platform] = name;
  return [{ url: url.href.split("#")[0], file, version, python, platforms: platform.split("."), sha256 }];
}

/**
 * Downloads a wheel into a folder. What an interrupted download left there is continued.
 * @param {IndexedWheel} wheel @param {string} folder @param {string} label @param {number} [stall] in milliseconds
 * @returns {Promise<string>} its path. Its hash is not checked yet. @throws Error naming the server
 */
export async function fetchWheel(wheel, folder, label, stall = stallLimit) {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, wheel.file);
  // The hash is part of the name: a file of the index that was replaced is not continued with other bytes.
  const part = `${path}.${wheel.sha256.slice(0, 16)}.part`;
  const stalled = new AbortController();
  const watch = setTimeout(() => stalled.abort(new Error(`${stall / 1000} seconds passed without a byte`)), stall);
  try {
    const have = statSync(part, { throwIfNoEntry: false })?.size ?? 0;
    const response = await ask(wheel.url, stalled.signal, {
      "accept-encoding": "identity",
      ...(have > 0 ? { range: `bytes=${have}-` } : {}),
    });
    // All of it was there already.
    if (response.status !== 416) await receive(response, part, have, label, watch);
    renameSync(part, path);
    return path;
  } catch (error) {
    throw failure(wheel.url, stalled.signal.aborted ? stalled.signal.reason : error);
  } finally {
    clearTimeout(watch);
  }
}

/**
 * @param {Response} response @param {string} part @param {number} have @param {string} label
 * @param {NodeJS.Timeout} watch
 */
async function receive(response, part, have, label, watch) {
  if (!response.ok || response.body === null)
    throw new Error(`the server answers ${response.status} ${response.statusText}`.trim());
  const from = response.status === 206 ? have : 0;
  const total = from + Number(response.headers.get("content-length") ?? Number.NaN);
  const bar = progressBar(label, total);
  let done = from;
  await pipeline(
    Readable.fromWeb(/** @type {any} */ (response.body)),
    async function* (source) {
      for await (const chunk of source) {
        watch.refresh();
        done += chunk.length;
        bar.update(done);
        yield chunk;
      }
    },
    createWriteStream(part, { flags: from > 0 ? "a" : "w" }),
  );
  bar.end();
  if (done < total) throw new Error(`${done} of ${total} bytes came before the connection ended`);
}
