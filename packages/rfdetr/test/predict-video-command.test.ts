// `rfdetr predict` of videos, in a process of its own, with a stand-in for ffmpeg.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { scope } from "@rfdetr/torch";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RFDETRModel } from "../src/model/rfdetr.js";
import { resolveModel } from "../src/model/variants.js";
import { fakeFfmpeg, fakeVideo } from "../src/testing/fake-ffmpeg.js";
import { saveWeights } from "../src/weights/weights.js";

const entry = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "predict-video-"));
const env = { ...process.env, PATH: fakeFfmpeg(join(folder, "bin")) };
const main = `import { main } from ${JSON.stringify(entry)}; process.exitCode = await main(process.argv.slice(1));`;
const weights = ["--weights", "tiny.safetensors", "--device", "cpu", "--precision", "32-true"];
const words = (args: string[]) => ["--input-type=module", "--eval", main, "--", "predict", ...args, ...weights];

function predict(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, words(args), { cwd: folder, env, encoding: "utf8" });
  return { status, stdout, stderr };
}

const linesOf = (file: string) =>
  readFileSync(join(folder, file), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
const times = Array.from({ length: 9 }, (_, i) => i / 4);

beforeAll(() => {
  const config = resolveModel("tiny", { numClasses: 2 });
  const tensors = scope(() => new RFDETRModel(config)).stateDict();
  saveWeights(join(folder, "tiny.safetensors"), tensors, { classNames: ["cat", "dog"], config });
  for (const name of ["a", "b"]) mkdirSync(join(folder, name));
  fakeVideo(join(folder, "a", "c lip.mp4"), { width: 64, height: 48, times });
  fakeVideo(join(folder, "b", "c lip.mp4"), { width: 64, height: 48, times, breaksAt: 6 });
  fakeVideo(join(folder, "long.avi"), { width: 64, height: 48, times: Array.from({ length: 5000 }, (_, i) => i / 4) });
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("rfdetr predict of videos", () => {
  it("writes lines and drawn videos, names one that breaks, and keeps what was there", () => {
    const task = [
      "a/c lip.mp4",
      "b/c lip.mp4",
      "--every",
      "2",
      "--start",
      "0.25",
      "--track",
      "--threshold",
      "cat=0.001",
      "--threshold",
      "0.002",
    ];
    const { status, stdout, stderr } = predict(...task, "--out", "out");
    expect(stderr).toMatch(/whole video in b\/c lip\.mp4 but it breaks off after frame 4 \(1\.25 s\): Invalid NAL/);
    expect(stderr).toContain("1 video could not be read, or not to the end");
    expect(stdout).toMatch(/^a\/c lip\.mp4: \d+ objects in 4 frames$/m);
    expect(stdout).toMatch(/ objects in 7 frames, written to out$/m);
    expect(status).toBe(3);
    const files = readdirSync(join(folder, "out"), { recursive: true }).map(String);
    expect(files.filter((name) => !/^.$/.test(name)).sort()).toEqual([
      ".predictions.sha256",
      ...["a", "b"].flatMap((name) => [join(name, "c lip.mp4"), join(name, "c lip.mp4.jsonl")]),
    ]);
    const lines = linesOf("out/a/c lip.mp4.jsonl");
    expect(lines.map(({ frame, seconds }) => [frame, seconds])).toEqual([0, 2, 4, 6].map((i) => [i, 0.25 + i / 4]));
    expect(lines[0]).toMatchObject({ file: "a/c lip.mp4", width: 64, height: 48 });
    expect(lines[0].detections[0]).toEqual({
      box: expect.any(Array),
      score: expect.any(Number),
      class_id: expect.any(Number),
      class_name: expect.any(String),
      track_id: null,
    });
    expect(linesOf("out/b/c lip.mp4.jsonl").length).toBe(3);
    const drawn = JSON.parse(readFileSync(join(folder, "out", "a", "c lip.mp4"), "utf8"));
    expect(drawn).toEqual({ width: 64, height: 48, times: [0, 0.5, 1, 1.5] });
    expect(predict("a/c lip.mp4", "--out", "a").stderr).toContain("but a has c lip.mp4");
  });

  it("says the best score where no frame has an object, tracked or not", () => {
    for (const track of [[], ["--track"]]) {
      const { stdout } = predict("a/c lip.mp4", "--out", "empty", "--no-draw", "--threshold", "0.9", ...track);
      expect(stdout).toMatch(/^0 objects in 9 frames, written to empty$/m);
      expect(stdout).toMatch(
        /^no object has a score above 0\.9 in any of 9 frames; the best is 0\.\d+ \(\w+, in frame \d\)/m,
      );
      for (const line of linesOf("empty/c lip.mp4.jsonl"))
        expect(line).toMatchObject({ detections: [], best_below: { threshold: 0.9 } });
    }
    const { stdout, stderr } = predict("a/c lip.mp4", "--json", "--threshold", "0.9");
    expect(stderr).toMatch(/^note: no object has a score above 0\.9 in any of 9 frames; the best is 0\.\d+ /m);
    expect(stdout).not.toContain("no object");
  });

  it("fails with one sentence where reading begins after the end, and leaves nothing", () => {
    const { status, stdout, stderr } = predict("a/c lip.mp4", "--start", "100", "--out", "late");
    expect(stderr).toBe(
      "error: Expected frames in a/c lip.mp4 from 100 s on but there are none: it ends before, or has no frame there\n",
    );
    expect([stdout, status]).toEqual(["", 1]);
    expect(existsSync(join(folder, "late"))).toBe(false);
  });

  it("keeps what is done at Ctrl-C, and prints a line for each frame with --json", async () => {
    const child = spawn(process.execPath, words(["long.avi", "--json", "--out", "stopped"]), { cwd: folder, env });
    let stdout = "";
    child.stdout.on("data", (text) => {
      stdout += text;
      child.kill("SIGINT");
    });
    expect(await new Promise((resolve) => child.once("close", resolve))).toBe(130);
    const lines = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.length).toBeLessThan(5000);
    expect(linesOf("stopped/long.avi.mp4.jsonl")).toEqual(lines);
    const drawn = JSON.parse(readFileSync(join(folder, "stopped", "long.avi.mp4"), "utf8"));
    expect(drawn.times.length).toBe(lines.length);
    expect(readdirSync(join(folder, "stopped")).length).toBe(3);
  });

  it("refuses what cannot be in one sentence, and leaves nothing", () => {
    const sentences = [
      [["a/c lip.mp4", "b", "--json"], 2, "Expected either images or videos but received both: b is no video"],
      [["a/c lip.mp4", "--format", "coco"], 2, "Expected json for --format with a video but received coco"],
      [["none.mp4"], 1, "Expected a video but none.mp4 does not exist"],
    ] as const;
    for (const [args, code, sentence] of sentences) {
      const { status, stderr } = predict(...args);
      expect(stderr).toContain(sentence);
      expect(status).toBe(code);
    }
    const { status, stdout, stderr } = predict("none.mp4", "--out", "nothing");
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^error: Expected a video but none\.mp4 does not exist.*\n$/);
    expect(existsSync(join(folder, "nothing"))).toBe(false);
    writeFileSync(join(folder, "photo.jpg"), "");
    expect(predict("photo.jpg", "--track").stderr).toContain("Expected a video for --track but received images");
    expect(existsSync(join(folder, "predictions"))).toBe(false);
  });
});
