// A stand-in for ffmpeg, so that what reads and writes videos is tested on machines without it. Its videos are JSON.
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";

/** A video of the stand-in. */
export interface FakeVideo {
  width: number;
  height: number;
  /** Of each frame, in seconds. */
  times: number[];
  /** Number of the frame at which it breaks. */
  breaksAt?: number;
  /** Number of the frame from which on its pictures have another size. */
  changesAt?: number;
  /** Stored lying on its side. */
  turned?: boolean;
}

const script = String.raw`
const { readFileSync, writeFileSync, writeSync } = require("node:fs");
const { once } = require("node:events");
const args = process.argv.slice(2);
const after = (flag) => (args.includes(flag) ? args[args.indexOf(flag) + 1] : undefined);
const fail = (message) => { writeSync(2, message + "\n"); process.exit(1); };
if (process.env.FAKE_PID) writeFileSync(process.env.FAKE_PID, String(process.pid));
async function read() {
  const input = after("-i");
  const live = after("-f") === "v4l2";
  let video = { width: 4, height: 2, times: Array.from({ length: 1e6 }, (_, i) => i / 1000) };
  if (input === "/dev/video1") return void setInterval(() => {}, 1000);
  if (!live)
    try { video = JSON.parse(readFileSync(input.slice("file:".length), "utf8")); }
    catch { fail(input + ": Invalid data found when processing input"); }
  const start = Number(after("-ss") ?? 0);
  const end = start + Number(after("-t") ?? Infinity);
  const every = Number(/mod\(n\\,(\d+)\)/.exec(after("-vf"))?.[1] ?? 1);
  const upright = video.turned && !args.includes("-noautorotate");
  const [width, height] = upright ? [video.height, video.width] : [video.width, video.height];
  const shown = video.times.filter((time) => time >= start && time < end);
  const changed = video.changesAt ?? Infinity;
  for (let i = 0; i < shown.length; i++) {
    if (i === video.breaksAt) fail("[h264 @ 0x1] Invalid NAL unit size");
    if (i % every > 0) continue;
    writeSync(3, "frame:" + (i < changed ? i : i - changed) / every + " pts:" + i + " pts_time:" + (shown[i] - start) + "\nrfdetr=1\n");
    const picture = Buffer.concat([Buffer.from("P6\n" + width + " " + height + "\n255\n"), Buffer.alloc(width * height * 3, i)]);
    if (!process.stdout.write(picture)) await once(process.stdout, "drain");
    if (process.env.FAKE_COUNT) writeFileSync(process.env.FAKE_COUNT, String(i + 1));
    if (live) await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
async function write() {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  const video = { times: [] };
  const walk = (at, end) => {
    while (at < end) {
      const idLength = Math.clz32(bytes[at]) - 23;
      const id = bytes.toString("hex", at, at + idLength);
      const size = Number(bytes.readBigUInt64BE(at + idLength) & 0xffffffffffffffn);
      const from = at + idLength + 8;
      const to = Math.min(end, from + size);
      if (["18538067", "1654ae6b", "ae", "e0", "1f43b675"].includes(id)) walk(from, to);
      if (id === "b0") video.width = 2 * Math.ceil(Number(bytes.readBigUInt64BE(from)) / 2);
      if (id === "ba") video.height = 2 * Math.ceil(Number(bytes.readBigUInt64BE(from)) / 2);
      if (id === "e7") video.times.push(Number(bytes.readBigUInt64BE(from)) / 1000);
      at = to;
    }
  };
  walk(0, bytes.length);
  try { writeFileSync(args.at(-1).slice("file:".length), JSON.stringify(video), { flag: "wx" }); }
  catch (error) { fail(error.message); }
}
if (args.includes("-version")) console.log("ffmpeg version 6.1.1 of the tests");
else if (args.includes("-encoders")) console.log(" V....D libx264  H.264");
else if (args.includes("image2pipe")) read();
else write();
`;

/** Puts the stand-in into a folder. @returns a PATH that has it before everything else */
export function fakeFfmpeg(folder: string): string {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, "ffmpeg");
  writeFileSync(file, `#!${process.execPath}\n${script}`);
  chmodSync(file, 0o755);
  return `${folder}${delimiter}${process.env.PATH}`;
}

/** Whether this machine has the real one. */
export const hasFfmpeg = (): boolean => spawnSync("ffmpeg", ["-version"]).status === 0;

/** Makes a video of the stand-in. */
export function fakeVideo(path: string, video: FakeVideo): void {
  writeFileSync(path, JSON.stringify(video));
}

/** Makes the same video by the real ffmpeg, as an MP4 file. A broken one loses its end. */
export function realVideo(
  path: string,
  { width, height, times, breaksAt, changesAt, turned = false }: FakeVideo,
): void {
  const made = `${path}.whole.mp4`;
  if (changesAt !== undefined) {
    // Transport streams may be put one after another.
    const parts = [changesAt, times.length - changesAt].map((frames, i) => {
      const part = `${path}.${i}.ts`;
      const source = `testsrc=size=${width * (i + 1)}x${height}:rate=10`;
      ffmpeg(...["-f", "lavfi", "-i", source, "-frames:v", String(frames), "-bf", "0", "-pix_fmt", "yuv420p", part]);
      return readFileSync(part);
    });
    writeFileSync(path, Buffer.concat(parts));
    return;
  }
  const input = ["-f", "lavfi", "-i", `testsrc=size=${width}x${height}:rate=10`, "-frames:v", String(times.length)];
  const shifts = times.map((time, i) => `eq(N,${i})*${Math.round(time * 1000)}`).join("+");
  const pace = ["-vf", `settb=1/1000,setpts='${shifts}'`];
  const form = ["-vsync", "passthrough", "-enc_time_base", "1:1000", "-g", "4", "-bf", "0", "-pix_fmt", "yuv420p"];
  ffmpeg(...input, ...pace, ...form, "-movflags", "+faststart", made);
  if (turned) ffmpeg("-i", made, "-metadata:s:v", "rotate=90", "-c", "copy", "-f", "mp4", path);
  else {
    const whole = readFileSync(made);
    const kept = breaksAt === undefined ? whole.length : Math.floor((whole.length * breaksAt) / times.length);
    writeFileSync(path, whole.subarray(0, kept));
  }
}

function ffmpeg(...args: string[]): void {
  const { status, stderr } = spawnSync("ffmpeg", ["-y", "-loglevel", "error", ...args], { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
}
