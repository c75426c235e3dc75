// The programs in examples/, as their users start them, with a small model and few images.
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { root } from "../check/repository.mjs";

const folder = mkdtempSync(join(tmpdir(), "examples-"));
const weights = join(folder, "run/weights/best.safetensors");
const place = (name: string) => join(root, "examples", name);
const started: ChildProcess[] = [];

function run(name: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [place(name), ...args], {
    cwd: folder,
    encoding: "utf8",
  });
  expect(status, stderr).toBe(0);
  return stdout;
}

/** Starts a program that goes on, and gives the first line that it prints. */
function start(name: string, ...args: string[]): Promise<{ child: ChildProcess; line: string; said: () => string }> {
  const child = spawn(process.execPath, [place(name), ...args], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  started.push(child);
  let said = "";
  return new Promise((resolve, reject) => {
    child.on("exit", () => reject(new Error(said)));
    for (const stream of [child.stdout, child.stderr])
      stream?.on("data", (data) => {
        said += data;
        if (said.includes("\n")) resolve({ child, line: said.split("\n")[0] ?? "", said: () => said });
      });
  });
}

const ended = (child: ChildProcess) =>
  new Promise((resolve) => {
    child.removeAllListeners("exit").on("exit", resolve);
    child.kill("SIGTERM");
  });

const command = (...args: string[]) =>
  execFileSync(process.execPath, [join(root, "packages/rfdetr/bin/rfdetr.mjs"), ...args], {
    cwd: folder,
    stdio: "pipe",
  });

beforeAll(() => {
  command("data", "synth", "birds", "--images", "8", "--size", "64", "--classes", "2");
  const flags = ["max_steps=2", "multi_scale=off", "plots=false", "num_workers=0"].flatMap((flag) => ["--set", flag]);
  command("train", "--data", "birds", "--model", "tiny", "--batch", "2", "--seed", "0", "--out", "run", ...flags);
});
afterAll(() => {
  for (const child of started) child.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

describe("the examples", () => {
  it("train in ten lines", () => {
    const said = run("train.mjs", "birds", "tiny", "1");
    expect(said).toMatch(/^epoch 1: loss \d+\.\d\d, AP50 \d/);
    expect(said).toMatch(/AP on the valid split \d.*, best weights .*best\.safetensors/);
    const code = readFileSync(place("train.mjs"), "utf8").split("\n");
    expect(code.filter((line) => line !== "" && !/^(\/\/|#!)/.test(line)).length).toBeLessThanOrEqual(10);
  });

  it("train on images that a program makes", () => {
    expect(run("custom-dataset.mjs", "tiny", "1")).toMatch(/^1 \d+\.\d+ \d/);
  });

  it("sweep a setting with two seeds, and compare the runs", () => {
    const [data, out] = ["birds", "sweep"];
    const said = run("sweep.mjs", data, "tiny", "1", out, "1e-4,2e-4");
    expect(said.match(/sweep\/lr-[\d.e-]+-seed-[01]$/gm)).toHaveLength(4);
    expect(existsSync(join(folder, "sweep/comparison.html"))).toBe(true);
    expect(run("sweep.mjs", data, "tiny", "1", out, "1e-4,2e-4")).toBe(said);
  });

  it.each([
    ["train.mjs none/ tiny", "Expected a dataset folder but none/ does not exist"],
    ["train.mjs birds tniy", "for the model but received tniy: did you mean tiny?"],
    ["train.mjs birds tiny many", "Expected positive integer for epochs but received"],
    ["custom-dataset.mjs tniy", "did you mean tiny?"],
    ["sweep.mjs none/ tiny 1", "Expected a dataset folder but none/ does not exist"],
    ["sweep.mjs birds tiny 1 rates fast", "for lr but received"],
    ["server.mjs none.safetensors 0", "The weights none.safetensors do not exist: "],
    ["server.mjs nano http", "Expected a port, 0 to 65535, as the second argument but received http"],
    ["server.mjs nano 0 all", "Expected how many requests may wait as the third argument but received all"],
    ["server-load.mjs", "Expected an image to send but bird.jpg is no file: give one as the second argument"],
    ["server-load.mjs http://127.0.0.1:9 PICTURE", "Expected a server at http://127.0.0.1:9 but "],
    ["server-load.mjs nowhere PICTURE", "Expected a server at nowhere but "],
    ["server-load.mjs nowhere PICTURE all", "Expected a number of requests of each client but received all"],
    ["watch-folder.mjs none/", "Expected a folder to watch but none/ does not exist"],
    ["watch-folder.mjs birds nano often", "Expected milliseconds between two looks but received often"],
    ["watch-folder.mjs birds none.safetensors", "The weights none.safetensors do not exist: "],
  ])("end a wrong call with one sentence: %s", (call, sentence) => {
    const [name, ...args] = call.replace("PICTURE", "birds/valid/valid-00000.jpg").split(" ");
    const { status, stdout, stderr } = spawnSync(process.execPath, [place(name), ...args], {
      cwd: folder,
      encoding: "utf8",
    });
    expect([status, stdout, stderr]).toEqual([1, "", expect.stringMatching(/^[^\n]+\n$/)]);
    expect(stderr).toContain(sentence);
  });

  it("say in a sentence that the port is taken, and what to do", async () => {
    const { child, line } = await start("server.mjs", weights, "0");
    const { port } = new URL(line);
    const other = spawnSync(process.execPath, [place("server.mjs"), weights, port], { cwd: folder, encoding: "utf8" });
    expect([other.status, other.stdout, other.stderr]).toEqual([
      1,
      "",
      `Port ${port} is taken by another program: give another as the second argument, or 0 for any that is free\n`,
    ]);
    await ended(child);
  });

  it("serve sixteen clients: what is no image, too large or too much is refused, and what has begun is answered", async () => {
    const most = 8;
    const { child, line, said } = await start("server.mjs", weights, "0", String(most));
    const picture = join(folder, "birds/valid", readdirSync(join(folder, "birds/valid"))[1] ?? "");
    const load = JSON.parse(run("server-load.mjs", line, picture, "2"));
    expect(load).toMatchObject({ clients: 16, answers: { 200: 32 } });
    expect(load.answers[503]).toBeGreaterThanOrEqual(16 - most);

    const address = `${line}/detect`;
    const post = (body: RequestInit["body"], query = "") => fetch(address + query, { method: "POST", body });
    for (const [answer, status, error] of [
      [await post("no image"), 400, /^Expected an image/],
      [await post(new Uint8Array(0)), 400, /image/],
      [await post(readFileSync(picture), "?threshold=high"), 400, /for threshold but received "high"/],
      [await post(readFileSync(picture), "?threshold=best"), 400, /^Expected weights with a recorded threshold/],
      [await post(new Uint8Array(21e6)), 413, /at most 20 MB/],
    ] as const)
      expect([answer.status, await answer.json()]).toEqual([status, { error: expect.stringMatching(error) }]);

    // Clients that send half of an image, and hold their places.
    const half = () => {
      const request = http.request(address, { method: "POST", headers: { "transfer-encoding": "chunked" } });
      request.on("error", () => {}).write(readFileSync(picture).subarray(0, 300));
      return request;
    };
    const waiting = async () => ((await (await fetch(`${line}/health`)).json()) as { waiting: number }).waiting;
    const until = async (count: number) => {
      for (let i = 0; i < 400 && (await waiting()) !== count; i++) await wait(20);
      expect(await waiting(), said()).toBe(count);
    };
    const [last, ...gone] = Array.from({ length: most }, half);
    await until(most);
    const refused = await post(readFileSync(picture));
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
    for (const request of gone) request.destroy();
    await until(1);

    const answered = once(last, "response");
    // Clients that keep their connections, and send on them until nobody listens any more.
    const agent = new http.Agent({ keepAlive: true });
    const outcomes = new Set<unknown>();
    const ask = () =>
      new Promise((resolve) => {
        const request = http.request(address, { method: "POST", agent });
        request.on("response", (response) => response.resume().on("end", () => resolve(response.statusCode)));
        request.on("error", (error: NodeJS.ErrnoException) => resolve(error.code));
        request.end(readFileSync(picture));
      });
    const client = async () => {
      for (let outcome: unknown = 200; outcome === 200; outcomes.add(outcome)) outcome = await ask();
    };
    const clients = Array.from({ length: 4 }, client);
    while (!outcomes.has(200)) await wait(1);
    const over = ended(child);
    const isOpen = () =>
      fetch(`${line}/health`).then(
        () => true,
        () => false,
      );
    for (let i = 0; i < 400 && (await isOpen()); i++) await wait(20);
    last.end(readFileSync(picture).subarray(300));
    const [{ statusCode }] = await answered;
    expect([statusCode, await over]).toEqual([200, 0]);
    await Promise.all(clients);
    expect([...outcomes]).toEqual([200, "ECONNREFUSED"]);
    await expect(post(readFileSync(picture))).rejects.toThrow();
  });

  it("watch a folder, and wait for files that are still written", async () => {
    const inbox = join(folder, "inbox");
    mkdirSync(inbox);
    const picture = join(folder, "birds/valid", readdirSync(join(folder, "birds/valid"))[1] ?? "");
    copyFileSync(picture, join(inbox, "old.jpg"));
    const bytes = readFileSync(picture);
    writeFileSync(join(inbox, "half.jpg"), bytes.subarray(0, 300));
    const { child, said } = await start("watch-folder.mjs", "inbox", weights, "50");
    const until = async (is: () => boolean) => {
      for (let i = 0; i < 400 && !is(); i++) await wait(50);
      expect(is(), said()).toBe(true);
    };
    await until(() => existsSync(join(inbox, "old.jpg.json")) && said().includes("half.jpg:"));
    expect(existsSync(join(inbox, "half.jpg.json"))).toBe(false);
    writeFileSync(join(inbox, "half.jpg"), bytes);
    await until(() => existsSync(join(inbox, "half.jpg.json")));
    expect(JSON.parse(readFileSync(join(inbox, "half.jpg.json"), "utf8"))).toMatchObject({
      image: "half.jpg",
      detections: [],
    });
    expect(readdirSync(inbox).sort()).toEqual(["half.jpg", "half.jpg.json", "old.jpg", "old.jpg.json"]);
    expect(await ended(child)).toBe(0);
  });

  it("show tensors without a detector", () => {
    expect(run("tensors.mjs")).toContain("step 500: mean squared error");
  });

  it("show the casts that doctor shows, by the same names and dtypes", () => {
    const casts = run("casts.mjs");
    expect(casts).toMatch(/^linear +bfloat16 +bfloat16 +lower /m);
    expect(command("doctor", "--model", "demo", "--casts", "--device", "cpu").toString()).toContain(casts);
  });
});
