// The page as a static server gives it, in Chromium.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { get, type IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sharp } from "../data/images/sharp.js";
import { smallOnnx, writeSmallOnnx } from "../testing/onnx-file.js";
import { chromiumPath, startChromium, withoutChromium } from "../testing/pages/chromium.js";
import { writeDemoPage } from "./demo-page.js";
import { type ExportMetadata, metadataEntries } from "./metadata.js";
import { serveFolders, servePage } from "./serve-page.js";

const folder = mkdtempSync(join(tmpdir(), "demo-page-"));
const site = join(folder, "site");
const file = join(folder, "colour-cells.onnx");
const metadata: ExportMetadata = {
  variant: "small",
  resolution: [64, 64],
  classNames: ["red", "<b>blue</b>"],
  numSelect: 20,
  masks: null,
  precision: "fp32",
  trainingPrecision: null,
  thresholds: null,
  AP50: null,
  version: "0.1.0",
  licence: "Apache-2.0",
  proof: null,
  preprocessing: { mean: [0.5, 0.5, 0.5], std: [0.1, 0.1, 0.1], resize: "bilinear", antialias: true, layout: "NCHW" },
  goldens: null,
};
const detector = {
  size: [64, 64],
  cell: 32,
  rows: [
    [2, -1, -1],
    [-1, -1, 2],
    [-9, -9, -9],
  ],
} as const;

beforeAll(async () => {
  writeSmallOnnx(file, { ...detector, metadata: metadataEntries(metadata) });
  const cell = { create: { width: 50, height: 50, channels: 3 as const, background: "#f00" } };
  const blue = { create: { ...cell.create, background: "#00f" } };
  const picture = sharp({ create: { width: 100, height: 100, channels: 3, background: "#0f0" } });
  await picture
    .composite([
      { input: cell, left: 0, top: 0 },
      { input: blue, left: 50, top: 50 },
    ])
    .png()
    .toFile(join(folder, "example.png"));
  writeDemoPage({ file, out: site, examples: [join(folder, "example.png")] });
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("the folder of a page", () => {
  it("holds the detector, the page, the modules that it imports and onnxruntime-web", () => {
    expect(readdirSync(site)).toEqual(
      expect.arrayContaining(["index.html", "model.onnx", "model.json", "ort", "rfdetr"]),
    );
    expect(JSON.parse(readFileSync(join(site, "model.json"), "utf8"))).toEqual({
      title: "Colour cells",
      file: "model.onnx",
      examples: ["examples/1.png"],
    });
    const imported = readdirSync(site)
      .filter((name) => name.endsWith(".js"))
      .flatMap((name) => [...readFileSync(join(site, name), "utf8").matchAll(/from "(\.[^"]+)"/g)])
      .map(([, path]) => path as string);
    expect(imported).toContain("./label-places.js");
    expect(imported.filter((path) => !existsSync(join(site, path)))).toEqual([]);
  });

  it("is new, or that of an earlier page", () => {
    writeDemoPage({ file, out: site, examples: [join(folder, "example.png")] });
    const other = join(folder, "other");
    mkdirSync(other);
    writeFileSync(join(other, "thesis.txt"), "");
    expect(() => writeDemoPage({ file, out: other })).toThrow(
      /earlier page, for the page but .*other holds other files/,
    );
    expect(readdirSync(other)).toEqual(["thesis.txt"]);
  });

  it("loses the pictures that the new page does not show, and keeps other files", () => {
    const again = join(folder, "again");
    const example = join(folder, "example.png");
    writeDemoPage({ file, out: again, gatherForm: file, examples: [example, example] });
    writeFileSync(join(again, "examples", "mine.png"), "");
    writeDemoPage({ file, out: again, examples: [example] });
    expect(readdirSync(join(again, "examples"))).toEqual(["1.png", "mine.png"]);
    expect(readdirSync(again)).not.toContain("model.gather.onnx");
    cpSync(example, join(again, "examples", "7.png"));
    writeDemoPage({ file, out: again, examples: [join(again, "examples", "7.png")] });
    expect(readdirSync(join(again, "examples"))).toEqual(["1.png", "7.png", "mine.png"]);
  });

  it("needs a model with the outputs of a detector", () => {
    const renamed = join(folder, "renamed.onnx");
    writeFileSync(renamed, Buffer.from(readFileSync(file).toString("latin1").replaceAll("labels", "levels"), "latin1"));
    expect(() => writeDemoPage({ file: renamed, out: join(folder, "new") })).toThrow(
      "outputs of the names dets and labels",
    );
  });

  it("needs an exported detector", () => {
    const text = join(folder, "text.onnx");
    writeFileSync(text, "no model");
    expect(() => writeDemoPage({ file: text, out: join(folder, "new") })).toThrow("text.onnx but it cannot be used");
    expect(existsSync(join(folder, "new"))).toBe(false);
  });
});

describe("a page that cannot be made", () => {
  const out = join(folder, "refused");
  const other = join(folder, "other.onnx");
  writeSmallOnnx(other, { ...detector, metadata: metadataEntries({ ...metadata, classNames: ["cat", "dog"] }) });

  const [text, empty, tiff] = ["LICENSES.txt", "zero.jpg", "scan.tif"].map((name) => join(folder, name));
  beforeAll(async () => {
    writeFileSync(text, "CC0");
    writeFileSync(empty, "");
    await sharp(join(folder, "example.png")).tiff().toFile(tiff);
  });

  it.each([
    [{ examples: [text] }, "LICENSES.txt is of no known kind"],
    [{ examples: [empty] }, "zero.jpg is empty"],
    [{ examples: [tiff] }, "Expected a picture that browsers show but"],
    [{ examples: [join(folder, "none.png")] }, "none.png does not exist"],
    [{ examples: [folder] }, "is no file"],
    [{ gatherForm: other }, "other.onnx has another variant, resolution or classes"],
    [{ out: other }, "Expected a folder for the page but"],
  ])("is refused in one sentence for %j, and nothing is written", (options, message) => {
    expect(() => writeDemoPage({ file, out, ...options })).toThrow(message);
    expect(existsSync(out)).toBe(false);
  });

  it("leaves nothing behind, and of an earlier page all, where a file cannot be copied", () => {
    const old = join(folder, "old");
    const example = join(folder, "example.png");
    writeDemoPage({ file, out: old });
    const before = readdirSync(old, { recursive: true });
    const long = join(folder, `e.${"x".repeat(253)}`);
    cpSync(example, long);
    // The copy in examples/ is called 12.xxx…, which no file system takes.
    const examples = [...Array<string>(11).fill(example), long];
    for (const folder of [out, old])
      expect(() => writeDemoPage({ file, out: folder, examples })).toThrow("the name is too long");
    expect(existsSync(out)).toBe(false);
    expect(readdirSync(old, { recursive: true })).toEqual(before);
  });

  it("can be made in a folder where one was interrupted", () => {
    const killed = join(folder, "killed");
    const leftover = ".rfdetr.partial-999999-00000000-00000000-00000000";
    mkdirSync(join(killed, leftover), { recursive: true });
    writeDemoPage({ file, out: killed });
    expect(readdirSync(killed)).toContain("index.html");
  });

  it("names the file that stands in its way, and can be made afterwards", () => {
    const half = join(folder, "half");
    writeDemoPage({ file, out: half });
    rmSync(join(half, "index.html"));
    mkdirSync(join(half, "index.html"));
    expect(() => writeDemoPage({ file, out: half })).toThrow("index.html cannot be written in");
    rmSync(join(half, "index.html"), { recursive: true });
    writeDemoPage({ file, out: half });
    expect(readdirSync(half)).toContain("model.onnx");
  });
});

describe("a page that is served", () => {
  it("is isolated, and answers to the names of this machine only", async () => {
    const page = await servePage(site, 0);
    expect(page.url).toBe(`http://127.0.0.1:${page.port}/`);
    const answer = await fetch(`${page.url}app.js`);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      "content-type": expect.stringContaining("text/javascript"),
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    });
    expect((await fetch(`${page.url}nothing.js`)).status).toBe(404);
    expect((await fetch(`${page.url}..%2Fcolour-cells.onnx`)).status).toBe(404);
    const { statusCode } = await new Promise<IncomingMessage>((resolve) => {
      get({ port: page.port, headers: { host: "elsewhere.example" } }, resolve);
    });
    expect(statusCode).toBe(403);
    await expect(servePage(site, page.port)).rejects.toThrow("another program listens on it");
    await page.close();
  });

  it("is one that this program wrote", async () => {
    await expect(servePage(folder)).rejects.toThrow(`Expected the folder of a page but ${folder} is none`);
  });
});

describe.skipIf(chromiumPath() === null)(`the page in Chromium${withoutChromium}`, () => {
  let browser: Browser;
  const complaints: string[] = [];

  beforeAll(async () => {
    browser = await startChromium();
  });
  afterAll(() => browser.close());

  /** Opens a page, and notes every request that leaves its origin. */
  async function open(server: { url: string }, width = 1200, used = browser): Promise<Page> {
    const context = await used.newContext({ viewport: { width, height: 900 } });
    context.on("request", (request) => {
      if (!request.url().startsWith(server.url) && !request.url().startsWith("blob:")) complaints.push(request.url());
    });
    const page = await context.newPage();
    page.on("console", (message) => {
      if (message.type() === "error") complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.goto(server.url);
    return page;
  }

  const found = (page: Page): Promise<unknown> => page.getByRole("img", { name: /^Found/ }).waitFor();

  it("shows what is in the first example, and asks nobody else for anything", async () => {
    const server = await servePage(site, 0);
    const page = await open(server);
    await found(page);
    expect(await page.getByRole("img", { name: /^Found/ }).getAttribute("aria-label")).toBe(
      "Found 1 red, 1 <b>blue</b>",
    );
    expect(await page.locator("#count").textContent()).toBe("2 objects");
    expect(await page.locator("#shown").textContent()).toBe("0.50");
    expect(await page.locator("#recorded").isVisible()).toBe(false);
    expect((await page.locator("#examples img").boundingBox())?.width).toBeLessThan(80);
    expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe("Colour cells");
    const facts = await page.locator("#facts").textContent();
    expect(facts).toMatch(/WebAssembly, \d threads/);
    expect(facts).toContain("carries no golden results");
    expect(facts).toMatch(/WebGPU: .*GPU/);
    await page.getByRole("slider", { name: "Confidence" }).focus();
    await page.keyboard.press("End");
    expect(await page.locator("#shown").textContent()).toBe("0.95");
    await page.getByRole("checkbox", { name: /red/ }).uncheck();
    expect(await page.getByRole("img", { name: /^Found|^No/ }).getAttribute("aria-label")).toBe("Found 1 <b>blue</b>");
    await page.getByText("Every object").click();
    expect(await page.locator("#objects li").count()).toBe(1);
    await server.close();
    expect(complaints.splice(0)).toEqual([]);
  });

  it("gets its threads from a server that sends no special headers, and takes dropped files", async () => {
    const server = await serveFolders({ "/": site }, { port: 0, isolated: false });
    const page = await open(server);
    await found(page);
    expect(await page.evaluate("crossOriginIsolated")).toBe(true);
    expect(await page.locator("#facts").textContent()).toMatch(/WebAssembly, \d threads?/);
    const green = await sharp({ create: { width: 40, height: 60, channels: 3, background: "#0f0" } })
      .png()
      .toBuffer();
    await page.locator("#file").setInputFiles({ name: "green.png", mimeType: "image/png", buffer: green });
    await page.getByRole("img", { name: "No object found" }).waitFor();
    await page.locator("#file").setInputFiles({ name: "a.png", mimeType: "image/png", buffer: Buffer.from("none") });
    await page.getByRole("alert").getByText("no picture or video that the browser can read").waitFor();
    await server.close();
    expect(complaints.splice(0)).toEqual([]);
  });

  it("starts at the recorded threshold, and says what is best where nothing is above the slider", async () => {
    const early = join(folder, "early.onnx");
    // The circle has the score 0.43 where it is red, and 0.03 elsewhere.
    const rows = [[0.704, 0.3782, 0.3782] as const, [3, 3, 3] as const, [3, 3, 3] as const];
    const learned = { ...metadata, classNames: ["circle", "square"], thresholds: { "*": 0.316, circle: 0.2 } };
    writeSmallOnnx(early, { ...detector, rows, metadata: metadataEntries(learned) });
    writeDemoPage({ file: early, out: join(folder, "early-site"), examples: [join(folder, "example.png")] });
    const server = await servePage(join(folder, "early-site"), 0);
    const page = await open(server);
    await found(page);
    expect(await page.locator("#shown").textContent()).toBe("0.31");
    expect(await page.locator("#recorded").textContent()).toContain("0.31 is the best for all classes");
    expect(await page.locator("#best").isVisible()).toBe(false);
    await page.getByRole("slider", { name: "Confidence" }).fill("0.45");
    expect(await page.locator("#count").textContent()).toBe("0 objects");
    expect(await page.locator("#best").textContent()).toBe("best: circle 0.43");
    const green = await sharp({ create: { width: 40, height: 60, channels: 3, background: "#0f0" } })
      .png()
      .toBuffer();
    await page.locator("#file").setInputFiles({ name: "green.png", mimeType: "image/png", buffer: green });
    await page.getByRole("img", { name: "No object found; best: circle 0.03" }).waitFor();
    expect(await page.locator("#shown").textContent()).toBe("0.45");
    await page.getByRole("checkbox", { name: /circle/ }).uncheck();
    expect(await page.locator("#best").textContent()).toBe("");
    await server.close();
    expect(complaints.splice(0)).toEqual([]);
  });

  it("fits a phone without scrolling sideways, however long a name is", async () => {
    const long = join(folder, "long.onnx");
    const classNames = ["r".repeat(200), "blue"];
    writeSmallOnnx(long, { ...detector, metadata: metadataEntries({ ...metadata, classNames }) });
    writeDemoPage({ file: long, out: join(folder, "long-site"), examples: [join(folder, "example.png")] });
    const server = await serveFolders({ "/": join(folder, "long-site") }, { port: 0 });
    const page = await open(server, 360);
    await found(page);
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(360);
    await server.close();
    expect(complaints.splice(0)).toEqual([]);
  });

  it("says in one place why a detector does not run", async () => {
    const wrong = {
      tolerance: { box_px: 0.1, score: 0.01 },
      cases: [{ seed: 1, queries: [{ class: 0, score: 1, box: [0, 0, 0, 0] as [number, number, number, number] }] }],
    };
    const broken = join(folder, "broken.onnx");
    writeFileSync(broken, smallOnnx({ ...detector, metadata: metadataEntries({ ...metadata, goldens: wrong }) }));
    writeDemoPage({ file: broken, out: join(folder, "broken-site") });
    const server = await serveFolders({ "/": join(folder, "broken-site") }, { port: 0 });
    const page = await open(server);
    await page.getByRole("alert").getByText("WebAssembly: its results are wrong, boxes").waitFor();
    expect(await page.locator("#state").textContent()).toBe("Failed");
    await server.close();
  });

  it("says why there is no camera", async () => {
    const server = await servePage(site, 0);
    const page = await open(server);
    await found(page);
    await page.getByRole("button", { name: "Camera" }).click();
    await page.getByRole("alert").getByText("The camera cannot be used: ").waitFor();
    await server.close();
    expect(complaints.splice(0)).toEqual([]);
  });

  it("detects in the camera and in a video, pauses, and gives the camera back", async () => {
    const withCamera = await startChromium({ camera: redAndGreen(join(folder, "camera.y4m")) });
    const server = await servePage(site, 0);
    const page = await open(server, 390, withCamera);
    await found(page);
    const seen = (what: string): Promise<unknown> =>
      page.getByRole("img", { name: what, exact: true }).waitFor({ timeout: 15_000 });
    await page.getByRole("button", { name: "Camera" }).click();
    await seen("Found 1 red");
    expect(await page.locator("#facts").textContent()).toMatch(/\d+ ms a picture/);
    await page.getByRole("button", { name: "Pause" }).click();
    expect(await page.evaluate(`document.querySelector("video").paused`)).toBe(true);
    await page.getByRole("button", { name: "Go on" }).click();
    expect(await page.evaluate(`document.querySelector("video").paused`)).toBe(false);
    const track = await page.evaluateHandle(`document.querySelector("video").srcObject.getVideoTracks()[0]`);
    const video = await page.evaluate<string>(recordedVideo);
    const buffer = Buffer.from(video, "base64");
    await page.locator("#file").setInputFiles({ name: "blue.webm", mimeType: "video/webm", buffer });
    await seen("Found 1 <b>blue</b>");
    expect(await track.evaluate((ended) => (ended as { readyState: string }).readyState)).toBe("ended");
    expect(await page.getByRole("button", { name: "Pause" }).isVisible()).toBe(true);
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(390);
    await page.locator("#examples button").click();
    await seen("Found 1 red, 1 <b>blue</b>");
    expect(await page.getByRole("button", { name: "Pause" }).isVisible()).toBe(false);
    await withCamera.close();
    await server.close();
    expect(complaints.splice(0)).toEqual([]);
  });
});

/** A video in YUV4MPEG2 of 64 × 64 pixels: green, and red in the upper left quarter. */
function redAndGreen(path: string): string {
  const plane = (side: number, red: number, green: number): Uint8Array =>
    Uint8Array.from({ length: side * side }, (_, i) => (i % side < side / 2 && i < (side * side) / 2 ? red : green));
  const frame = [Buffer.from("FRAME\n"), plane(64, 81, 145), plane(32, 90, 54), plane(32, 240, 34)];
  writeFileSync(path, Buffer.concat([Buffer.from("YUV4MPEG2 W64 H64 F10:1 Ip A1:1 C420\n"), ...frame, ...frame]));
  return path;
}

/** Records a video of 64 × 64 pixels, green with a blue quarter at the lower right, in Base64. */
const recordedVideo = `(async () => {
  const canvas = new OffscreenCanvas(64, 64);
  const context = canvas.getContext("2d");
  const generator = new MediaStreamTrackGenerator({ kind: "video" });
  const recorder = new MediaRecorder(new MediaStream([generator]), { mimeType: "video/webm" });
  const parts = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  const ended = new Promise((resolve) => (recorder.onstop = resolve));
  recorder.start();
  const writer = generator.writable.getWriter();
  for (let i = 0; i < 10; i++) {
    context.fillStyle = "#0f0";
    context.fillRect(0, 0, 64, 64);
    context.fillStyle = "#00f";
    context.fillRect(32, 32, 32, 32);
    await writer.write(new VideoFrame(canvas, { timestamp: i * 100_000 }));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  recorder.stop();
  await ended;
  let text = "";
  for (const byte of new Uint8Array(await new Blob(parts).arrayBuffer())) text += String.fromCharCode(byte);
  return btoa(text);
})()`;
