// What names a video: a file, a camera, a stream. And how ffmpeg is asked for it.
import { basename } from "node:path";
import { VideoError } from "../../support/errors.js";

/** Extensions of the files of videos. */
const extensions = [
  "mp4",
  "m4v",
  "mov",
  "mkv",
  "webm",
  "avi",
  "mpg",
  "mpeg",
  "ts",
  "m2ts",
  "wmv",
  "flv",
  "3gp",
] as const;
type Extension = (typeof extensions)[number];

/**
 * The name of a video: a path or an address whose extension says so, a camera (`camera:0`, `/dev/video0`), or a
 * stream (`rtsp://…`).
 */
export type VideoName =
  | `${string}.${Extension | Uppercase<Extension>}`
  | `camera:${number}`
  | `/dev/video${number}`
  | `${"rtsp" | "rtsps" | "rtmp"}://${string}`;

const camera = /^(?:camera:|\/dev\/video)(\d+)$/;
const stream = /^(rtsps?|rtmp|srt|udp):\/\//i;
const file = new RegExp(`\\.(${extensions.join("|")})$`, "i");

/** Whether text names a video. The query of an address does not count. */
export function isVideoName(name: string): boolean {
  return camera.test(name) || stream.test(name) || file.test(withoutQuery(name));
}

/** Whether a video goes on whether or not it is looked at: a camera, or a stream. */
export function isLive(name: string): boolean {
  return camera.test(name) || stream.test(name);
}

/** Whether a video is a file of this machine. */
export const isVideoFile = (name: string): boolean => !isLive(name) && !isAddress(name);

const isAddress = (name: string): boolean => /^https?:\/\//i.test(name);
const withoutQuery = (name: string): string => (isAddress(name) ? name.replace(/[?#].*$/s, "") : name);

/** Seconds after which a stream that sends nothing is given up. */
const patience = 15;

/**
 * The arguments of ffmpeg that open a video. A local file may not lead to others or to the network.
 * @throws VideoError for a camera of a system whose cameras have no numbers
 */
export function inputArguments(name: string, platform: NodeJS.Platform = process.platform): string[] {
  const number = camera.exec(name)?.[1];
  if (number !== undefined) {
    if (platform === "darwin") return ["-f", "avfoundation", "-i", number];
    if (platform === "linux") return ["-f", "v4l2", "-i", `/dev/video${number}`];
    throw new VideoError(`Expected a file or a stream but ${name} is a camera, which is read on Linux and macOS only`);
  }
  const micros = String(patience * 1e6);
  if (/^rtsp/i.test(name)) return ["-rtsp_transport", "tcp", "-timeout", micros, "-i", name];
  if (isLive(name)) return ["-i", name];
  if (isAddress(name))
    return ["-protocol_whitelist", "http,https,tls,tcp,httpproxy", "-rw_timeout", micros, "-i", name];
  return ["-protocol_whitelist", "file", "-i", `file:${name}`];
}

/** A video in messages and in names of files: without the password and the query of an address. */
export function shownVideo(name: string): string {
  if (!/^[a-z]+:\/\//i.test(name) || !URL.canParse(name)) return name;
  const { protocol, host, pathname } = new URL(name);
  return `${protocol}//${host}${pathname}`;
}

/** What the files about a video are called: like a file in the current folder. */
export function fileNameOf(name: string): string {
  const number = camera.exec(name)?.[1];
  if (number !== undefined) return `camera-${number}`;
  if (isVideoFile(name)) return name;
  const { hostname, pathname } = new URL(name);
  const last = basename(pathname).replace(/[^\p{L}\p{N}._-]/gu, "_");
  return last === "" ? hostname : last;
}
