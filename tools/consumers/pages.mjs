// @ts-check
// A page with `rfdetr/browser`, bundled by esbuild and by vite, and shown in Chromium where there is one.
import { copyFileSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { dirname, extname, join } from "node:path";
import { chromium } from "playwright-core";
import { compile, compilerOptions, program, run, write } from "./project.mjs";

/** @typedef {import("./main.mjs").Place} Place */

const chromiumPath = ["/usr/bin/chromium", "/usr/bin/google-chrome"].find((path) => existsSync(path));
/** @type {Record<string, string>} */
const types = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

/** @param {Place} place @returns {Promise<string>} what is left out here, if anything */
export async function page({ project, data }) {
  const folder = join(project, "page");
  write(folder, {
    "package.json": { type: "module" },
    "tsconfig.json": { compilerOptions: compilerOptions.page, files: ["page.ts"] },
    "page.ts": program("page.ts"),
    "index.html": '<!doctype html><title>Page</title><script type="module" src="./page.ts"></script>\n',
    "esbuild/index.html": '<!doctype html><title>Page</title><script type="module" src="./page.js"></script>\n',
  });
  await compile(folder);
  const bundle = ["page.ts", "--bundle", "--format=esm", "--splitting", "--outdir=esbuild", "--metafile=meta.json"];
  await run(folder, join(project, "node_modules/.bin/esbuild"), [...bundle, "--log-level=error"]);
  const inputs = Object.keys(JSON.parse(readFileSync(join(folder, "meta.json"), "utf8")).inputs);
  const strange = inputs.filter((path) => !/^page\.ts$|\/(rfdetr|onnxruntime-web)\/dist\//.test(path));
  if (strange.length > 0) throw new Error(`Expected a bundle of rfdetr and onnxruntime-web alone but found ${strange}`);
  // esbuild leaves the WebAssembly of onnxruntime-web behind: it is looked for beside the bundle.
  const runtime = dirname(createRequire(join(project, "package.json")).resolve("onnxruntime-web"));
  for (const name of readdirSync(runtime).filter((name) => /^ort-wasm-.*\.(wasm|mjs)$/.test(name)))
    copyFileSync(join(runtime, name), join(folder, "esbuild", name));
  const vite = join(dirname(createRequire(join(project, "package.json")).resolve("vite/package.json")), "bin/vite.js");
  const said = await run(folder, process.execPath, [vite, "build", "--logLevel=warn"]);
  if (/externalized for browser/.test(said)) throw new Error(said);

  if (chromiumPath === undefined) return "not shown: no Chromium";
  const file = join(folder, "tiny.onnx");
  if (!existsSync(file)) await exported(project, data, file);
  const picture = readdirSync(join(data, "valid")).find((name) => name.endsWith(".jpg")) ?? "";
  for (const built of ["esbuild", "dist"]) {
    copyFileSync(file, join(folder, built, "tiny.onnx"));
    copyFileSync(join(data, "valid", picture), join(folder, built, "picture.jpg"));
    await shown(join(folder, built));
  }
  return "shown in Chromium";
}

/** Trains for two steps and exports. @param {string} project @param {string} data @param {string} file */
async function exported(project, data, file) {
  const short = ["max_steps=2", "multi_scale=off", "plots=false", "num_workers=0"].flatMap((set) => ["--set", set]);
  const train = ["train", "--data", data, "--model", "tiny", "--batch", "2", "--out", "page/run", ...short];
  await run(project, "npx", ["rfdetr", ...train]);
  await run(project, "npx", ["rfdetr", "export", "--weights", "page/run", "--out", file]);
}

/** Detects in a page of a folder. @param {string} folder */
async function shown(folder) {
  const server = createServer((request, response) => {
    const path = join(folder, new URL(request.url ?? "/", "http://a").pathname.replace(/\/$/, "/index.html"));
    if (!existsSync(path)) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": types[extname(path)] ?? "application/octet-stream" });
    return response.end(readFileSync(path));
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", () => listening(null)));
  const browser = await chromium.launch({ executablePath: chromiumPath, args: ["--no-sandbox", "--disable-gpu"] });
  try {
    const page = await browser.newPage();
    /** @type {string[]} */
    const errors = [];
    page.on("pageerror", (error) => errors.push(error.message));
    const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
    await page.goto(`http://127.0.0.1:${port}/`);
    const picture = 'fetch("/picture.jpg").then((response) => response.blob())';
    const count = await page.evaluate(
      `${picture}.then((blob) => detect("/tiny.onnx", blob)).then(({ length }) => length)`,
    );
    if (!(count > 0) || errors.length > 0) throw new Error(`Expected detections in ${folder} but ${count}: ${errors}`);
  } finally {
    await browser.close();
    server.close();
  }
}
