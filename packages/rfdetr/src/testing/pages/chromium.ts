// The Chromium of the system, for tests and pictures of pages.
import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** The path of a Chromium; null where none is installed. `CHROMIUM` names another one. */
export function chromiumPath(): string | null {
  return [process.env.CHROMIUM ?? "", ...places].find((path) => path !== "" && existsSync(path)) ?? null;
}

/** Why tests in a browser do not run here, as part of their name; empty where they do. */
export const withoutChromium = chromiumPath() === null ? " (needs Chromium: apt install chromium)" : "";

/** WebGPU computed on the CPU, by SwiftShader: slow, and right. */
const softwareGpu = [
  ...["--enable-unsafe-webgpu", "--enable-features=Vulkan,WebGPU", "--use-webgpu-adapter=swiftshader"],
  ...["--use-angle=swiftshader", "--ignore-gpu-blocklist"],
];

/**
 * Starts a browser without a window.
 * @param options whether it has WebGPU; a video in YUV4MPEG2 that its camera shows, to which every page has access
 */
export async function startChromium({
  gpu = false,
  camera,
}: {
  gpu?: boolean;
  camera?: string;
} = {}): Promise<Browser> {
  const executablePath = chromiumPath();
  if (executablePath === null) throw new Error("Expected Chromium but none is installed");
  const args = ["--no-sandbox", ...(gpu ? softwareGpu : ["--disable-gpu"])];
  if (camera !== undefined)
    args.push(
      ...["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
      `--use-file-for-fake-video-capture=${camera}`,
    );
  return await chromium.launch({ executablePath, args });
}
