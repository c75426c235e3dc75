// Runs ffmpeg.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { promisify } from "node:util";
import { VideoError } from "../../support/errors.js";

/** Longest text of ffmpeg's complaints that is kept. */
const most = 4096;

/** A running ffmpeg. */
export interface Ffmpeg {
  readonly child: ChildProcess;
  /** What it complained of first; null if it did not. */
  complaint(): string | null;
  /** Resolves with its exit code when it has ended; null where a signal ended it. */
  readonly ended: Promise<number | null>;
}

/**
 * The option by which this machine's ffmpeg keeps every frame with its own time.
 * @param task what ffmpeg is needed for, such as `read clip.mp4`
 * @throws VideoError if there is no ffmpeg
 */
export async function everyFrame(task: string): Promise<string[]> {
  let version: string;
  try {
    version = (await promisify(execFile)("ffmpeg", ["-version"])).stdout;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT")
      throw new VideoError(`Expected an ffmpeg that runs, to ${task}, but it failed: ${(cause as Error).message}`, {
        cause,
      });
    throw new VideoError(`Expected ffmpeg on the PATH, to ${task}, but there is none`, {
      hint: `Install it (${install()}), or give the frames as images`,
    });
  }
  // Builds of the newest source have no number.
  const [, major, minor] = /^ffmpeg version n?(\d+)\.(\d+)/.exec(version) ?? ["", "99", "0"];
  return Number(major) + Number(minor) / 100 < 5.01 ? ["-vsync", "passthrough"] : ["-fps_mode", "passthrough"];
}

function install(): string {
  if (process.platform === "darwin") return "brew install ffmpeg";
  return process.platform === "win32" ? "winget install ffmpeg" : "such as apt-get install ffmpeg";
}

/**
 * Starts ffmpeg in a group of processes of its own: Ctrl-C in the terminal is for this program, which then ends it.
 * @param stdio what its first descriptors are; its errors are read here
 */
export function startFfmpeg(args: readonly string[], [input, output, more = []]: [In, Out, Out[]?]): Ffmpeg {
  const child = spawn("ffmpeg", ["-hide_banner", "-loglevel", "error", ...args], {
    stdio: [input, output, "pipe", ...more],
    detached: process.platform !== "win32",
    windowsHide: true,
  });
  let text = "";
  child.stderr?.setEncoding("utf8").on("data", (piece: string) => {
    if (text.length < most) text += piece;
  });
  const ended = new Promise<number | null>((resolve) => {
    child.on("error", (error) => {
      text ||= error.message;
      resolve(null);
    });
    child.on("close", (code) => resolve(code));
  });
  return { child, ended, complaint: () => firstComplaint(text) };
}

type In = "pipe" | "ignore";
type Out = "pipe" | "ignore";

/** The first line, without the part of ffmpeg that wrote it. */
function firstComplaint(text: string): string | null {
  const line = text.split("\n").find((each) => each.trim() !== "");
  return line === undefined ? null : line.replace(/^\[[^\]]*\] */, "").trim();
}
