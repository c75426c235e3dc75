import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { scratchPath } from "../../support/files/scratch.js";
import { type DownloadOptions, publishedWeights, resolveWeights, weightsFolder } from "./published-weights.js";

const content = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7919) % 251));
const published = {
  bird: { file: "rf-detr-bird.pth", path: "bird/best.pth", md5: createHash("md5").update(content).digest("hex") },
};

let folder: string;
let server: Server;
let mirror: string;
let answer: RequestListener;
const ranges: (string | undefined)[] = [];

beforeEach(async () => {
  folder = join(mkdtempSync(join(tmpdir(), "published-")), "models");
  ranges.length = 0;
  answer = whole;
  server = createServer((request, response) => {
    ranges.push(request.headers.range);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(join(folder, ".."), { recursive: true });
});

/** Serves the file, from a byte on where that is asked for. */
const whole: RequestListener = (request, response) => {
  const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
  if (from >= content.length) {
    response.writeHead(416).end();
    return;
  }
  response.writeHead(from > 0 ? 206 : 200, { "content-length": content.length - from });
  response.end(content.subarray(from));
};
const get = (options: Partial<DownloadOptions> = {}) =>
  resolveWeights("bird", { published, mirror, folder, ...options });
const path = () => join(folder, "rf-detr-bird.pth");

describe("published weights", () => {
  it("are downloaded into the cache folder once, with progress", async () => {
    const seen: [number, number | null][] = [];
    expect(await get({ progress: (done, total) => seen.push([done, total]) })).toBe(path());
    expect(readFileSync(path()).equals(content)).toBe(true);
    expect(seen.at(-1)).toEqual([content.length, content.length]);
    expect(await get()).toBe(path());
    expect(ranges).toEqual([undefined]);
  });

  it("fail with what their progress throws", async () => {
    const progress = (): void => {
      throw new RangeError("mine");
    };
    await expect(get({ progress })).rejects.toThrow("mine");
    expect(existsSync(path())).toBe(false);
  });

  it("have the Python package's file names too", async () => {
    expect(await resolveWeights("rf-detr-bird.pth", { published, mirror, folder })).toBe(path());
  });

  it("are not looked for where a path is given", async () => {
    mkdirSync(folder);
    const own = join(folder, "best.safetensors");
    writeFileSync(own, "");
    expect(await resolveWeights(own, { published, mirror, folder })).toBe(own);
    await expect(resolveWeights(join(folder, "bets.safetensors"), { published, mirror, folder })).rejects.toThrow(
      `bets.safetensors do not exist: did you mean ${own}?`,
    );
    await expect(resolveWeights("brid", { published, mirror, folder })).rejects.toThrow(
      "The weights brid do not exist: did you mean bird?",
    );
    expect(ranges).toEqual([]);
  });

  it("may be those of a run, by its folder: the best, else the last", async () => {
    await expect(resolveWeights(join(folder, ".."), { published })).rejects.toThrow("found neither weights/best");
    for (const name of ["last", "best"]) {
      const own = join(folder, "weights", `${name}.safetensors`);
      mkdirSync(join(folder, "weights"), { recursive: true });
      writeFileSync(own, "");
      const notes: string[] = [];
      for (const part of [".", "weights", "checkpoint"]) {
        mkdirSync(join(folder, part), { recursive: true });
        expect(await resolveWeights(join(folder, part), { published, note: (text) => notes.push(text) })).toBe(own);
      }
      expect(notes.length).toBe(name === "last" ? 3 : 0);
    }
  });

  it("are downloaded by several at once without harm", async () => {
    await Promise.all([get(), get(), get()]);
    expect(readFileSync(path()).equals(content)).toBe(true);
    expect(readdirSync(folder)).toEqual(["rf-detr-bird.pth"]);
  });

  it.runIf(existsSync("/dev/full"))("leave nothing on a disk that is full, and say that it is", async () => {
    mkdirSync(folder);
    // What is written there finds no room.
    symlinkSync("/dev/full", `${path()}.part`);
    await expect(get()).rejects.toThrow(
      `The weights bird cannot be written to ${folder}: the disk is full; free some space there, or name another folder in RF_HOME`,
    );
    expect(readdirSync(folder)).toEqual([]);
    expect(await get()).toBe(path());
  });

  it("go on where a process that was killed stopped, and leave the download of a living one alone", async () => {
    mkdirSync(folder);
    const other = join(folder, "other");
    const living = scratchPath(other).replace(other, path());
    const dead = execFileSync(process.execPath, ["-e", "console.log(process.pid)"], { encoding: "utf8" }).trim();
    // Of a process that is gone, and of one whose number another has now.
    const [pid, host, identity] = living.slice(`${path()}.partial-`.length).split("-");
    for (const [left, length] of [
      [`${dead}-${host}-${identity}`, 500],
      [`${pid}-${host}-0badcafe`, 1000],
    ] as const)
      writeFileSync(`${path()}.partial-${left}-00000000`, content.subarray(0, length));
    writeFileSync(living, content.subarray(0, 2000));
    expect(await get()).toBe(path());
    expect(ranges).toEqual(["bytes=1000-"]);
    expect(readdirSync(folder)).toEqual(["rf-detr-bird.pth", basename(living)]);
  });

  it("begin again where what is there cannot be continued", async () => {
    mkdirSync(folder);
    writeFileSync(`${path()}.part`, Buffer.alloc(content.length + 1));
    answer = (request, response) =>
      request.headers.range === undefined
        ? whole(request, response)
        : response.writeHead(416, { "content-range": `bytes */${content.length}` }).end();
    expect(await get()).toBe(path());
    expect(readFileSync(path()).equals(content)).toBe(true);
  });

  it("may be compressed on the way", async () => {
    mkdirSync(folder);
    writeFileSync(`${path()}.part`, content.subarray(0, 1000));
    answer = (request, response) => {
      const bytes = gzipSync(content);
      response.writeHead(request.headers.range === undefined ? 200 : 206, {
        "content-encoding": "gzip",
        "content-length": bytes.length,
      });
      response.end(bytes);
    };
    expect(await get()).toBe(path());
    expect(readFileSync(path()).equals(content)).toBe(true);
  });

  it.each([
    [416, "the server answers 416 Range Not Satisfiable"],
    [500, "the server answers 500 Internal Server Error"],
  ])("that a server answers with %i are not there", async (status, message) => {
    answer = (_, response) => response.writeHead(status).end();
    await expect(get()).rejects.toThrow(message);
  });

  it("are given up when the server sends nothing, or never ends", async () => {
    answer = () => {};
    await expect(get({ stall: 50 })).rejects.toThrow("0.05 seconds passed without a byte from the server");
    answer = (_, response) => response.writeHead(200, { "content-length": content.length }).write("a few bytes");
    await expect(get({ stall: 50 })).rejects.toThrow("0.05 seconds passed without a byte from the server");
    answer = (_, response) => {
      const more = (): void => void (response.destroyed || response.write(Buffer.alloc(1 << 16), more));
      more();
    };
    await expect(get({ limit: 1 << 18 })).rejects.toThrow("262144 bytes are allowed, and the file has more");
    expect(readdirSync(folder)).toEqual([]);
    answer = (_, response) => response.writeHead(200, { "content-length": 1e12 }).write("x");
    await expect(get({ limit: 1 << 18 })).rejects.toThrow("262144 bytes are allowed, and the file has more");
  });

  it("go on where an interrupted download stopped", async () => {
    let cut = (): void => {};
    answer = (_, response) => {
      response.writeHead(200, { "content-length": content.length });
      response.write(content.subarray(0, 100_000));
      cut = () => void response.destroy();
    };
    // Bytes that were received have been written a moment later.
    const progress = (): void => void setTimeout(cut, 100);
    await expect(get({ progress })).rejects.toThrow(/could not be downloaded/);
    expect(existsSync(path())).toBe(false);
    answer = whole;
    await get();
    expect(ranges[1]).toMatch(/^bytes=[1-9]\d*-$/);
    expect(readFileSync(path()).equals(content)).toBe(true);
  });

  it("whose download had come to its end before it was checked are checked", async () => {
    mkdirSync(folder);
    writeFileSync(`${path()}.part`, content);
    expect(await get()).toBe(path());
  });

  it("follow a redirect", async () => {
    answer = (request, response) =>
      request.url === "/bird/best.pth"
        ? response.writeHead(302, { location: `${mirror}/elsewhere` }).end()
        : whole(request, response);
    await get();
    expect(readFileSync(path()).equals(content)).toBe(true);
  });

  it("of another checksum are refused and not kept", async () => {
    answer = (_, response) => response.end("something else");
    await expect(get()).rejects.toThrow(
      /is not the published file \(MD5 \w+ instead of \w+\): try again, or put the right file at .*rf-detr-bird.pth/,
    );
    expect(existsSync(path())).toBe(false);
    expect(existsSync(`${path()}.part`)).toBe(false);
  });

  it("that are not there name the answer, and where to put the file", async () => {
    answer = (_, response) => response.writeHead(404, "Not Found").end();
    await expect(get()).rejects.toThrow(
      /best.pth \(the server answers 404 Not Found\): put the file at .*rf-detr-bird.pth/,
    );
  });

  it("without a network name the reason and the ways on", async () => {
    const nowhere = { mirror: "http://127.0.0.1:9" };
    await expect(get(nowhere)).rejects.toThrow(
      /^The weights bird could not be downloaded from \S+ \(.+\): put the file at \S+rf-detr-bird\.pth, or name a mirror in RFDETR_WEIGHTS_URL$/,
    );
    await expect(resolveWeights("coco", { published, folder, model: "bird", ...nowhere })).rejects.toThrow(
      /a mirror in RFDETR_WEIGHTS_URL, or set weights to none, which starts from random weights$/,
    );
  });

  it("are named coco for the model that they are published for, whatever folder has that name", async () => {
    expect(await resolveWeights("coco", { published, mirror, folder, model: "bird" })).toBe(path());
    for (const model of [undefined, "tiny", "constructor"])
      await expect(
        resolveWeights("coco", { published, mirror, folder, ...(model === undefined ? {} : { model }) }),
      ).rejects.toThrow("Expected a file or the name of published weights but received coco");
  });

  it("that were changed in the cache folder are refused, and stay", async () => {
    mkdirSync(folder);
    writeFileSync(path(), "spoiled");
    await expect(get()).rejects.toThrow(
      /are not those published as bird .*: remove the file to download them again, or give its path/,
    );
    expect(readFileSync(path(), "utf8")).toBe("spoiled");
    expect(ranges).toEqual([]);
  });

  it("are kept where the Python package keeps them", () => {
    const before = process.env.RF_HOME;
    process.env.RF_HOME = "/somewhere";
    expect(weightsFolder()).toBe("/somewhere");
    if (before === undefined) delete process.env.RF_HOME;
    else process.env.RF_HOME = before;
    for (const { md5, path: place } of Object.values(publishedWeights)) {
      expect(md5).toMatch(/^[0-9a-f]{32}$/);
      expect(place).toMatch(/\.pth?$/);
    }
  });
});
