// A page that shows what an exported file finds: static files for any server, with all that the page needs.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, extname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { readImageHeader } from "../data/images/image-header.js";
import { UsageError } from "../support/errors.js";
import { makeFolder, removeEmpty, writeFailure } from "../support/files/atomic.js";
import { isScratch, scratchBeside, whileScratch } from "../support/files/scratch.js";
import { workerScript } from "../support/machine/worker-path.js";
import { checkOptions, differentTexts, filePath, type OptionKinds, text, texts } from "../support/options.js";
import type { ExportMetadata } from "./metadata.js";
import { describeHead } from "./onnx-head.js";
import { hasWebRuntime, webRuntimeFile } from "./web-runtime.js";

/** What a page is made of. */
export interface DemoPageOptions {
  /** The exported file. */
  file: string;
  /** Folder to write: a new one, or that of an earlier page, whose files are replaced. */
  out: string;
  /** The same detector exported without GridSample, for browsers whose WebGPU computes that wrongly. */
  gatherForm?: string;
  /** Pictures to try it with. */
  examples?: readonly string[];
  /** Heading of the page; default: from the name of the file. */
  title?: string;
  /** Names of the classes of a file that has none. */
  classNames?: readonly string[];
}

const pageOptions: OptionKinds<DemoPageOptions> = {
  file: filePath,
  out: filePath,
  gatherForm: filePath,
  examples: texts,
  title: text,
  classNames: differentTexts,
};

/** What the page reads first. Its presence marks a folder as that of a page. */
export const modelFile = "model.json";
const gatherFile = "model.gather.onnx";

/** Files of onnxruntime-web: its module and what that loads, for WebAssembly and for WebGPU. */
const runtimeFiles = [
  "ort.wasm.min.mjs",
  "ort-wasm-simd-threaded.mjs",
  "ort-wasm-simd-threaded.wasm",
  "ort.webgpu.min.mjs",
  "ort-wasm-simd-threaded.asyncify.mjs",
  "ort-wasm-simd-threaded.asyncify.wasm",
] as const;

/**
 * Writes the page.
 * @returns the bytes of its files
 * @throws CheckpointError if the file is no exported detector
 * @throws DataError if a picture is none
 * @throws UsageError if the folder holds something else, if a picture is missing, if the gather form is of another
 * detector, or if onnxruntime-web is not installed
 * @throws RunDirectoryError if the folder cannot be written
 * @example
 * import { writeDemoPage } from "rfdetr/onnx";
 * writeDemoPage({ file: "bird.onnx", out: "site", examples: ["bird.jpg"] });
 */
export function writeDemoPage(options: DemoPageOptions): number {
  checkOptions("writeDemoPage", options, pageOptions, ["file", "out"]);
  const { file, out, gatherForm, examples = [], classNames } = options;
  const detector = describeHead(file);
  if (gatherForm !== undefined) checkSameDetector(file, detector, gatherForm);
  for (const path of examples) checkPicture(path);
  checkFolder(out);
  const copies = new Map<string, string>();
  const page = fileURLToPath(new URL("../../page/", import.meta.url));
  for (const name of readdirSync(page)) if (!name.endsWith(".d.ts")) copies.set(name, join(page, name));
  // The page places labels as `predict` does.
  copies.set("label-places.js", workerScript(import.meta.url, "../pictures/drawing/label-places.js"));
  const runtime = runtimeFolder();
  for (const name of runtimeFiles) copies.set(`ort/${name}`, join(runtime, name));
  const entry = workerScript(import.meta.url, "../browser/index.js");
  const compiled = dirname(dirname(entry));
  for (const path of reachedFrom(entry)) copies.set(`rfdetr/${relative(compiled, path)}`, path);
  copies.set("model.onnx", file);
  if (gatherForm !== undefined) copies.set(gatherFile, gatherForm);
  const pictures = examples.map((path, i) => `examples/${i + 1}${extname(path).toLowerCase()}`);
  for (const [i, path] of pictures.entries()) copies.set(path, examples[i]);
  const model = {
    title: options.title ?? titleOf(file),
    file: "model.onnx",
    ...(gatherForm === undefined ? {} : { gatherForm: gatherFile }),
    ...(classNames === undefined ? {} : { classNames }),
    examples: pictures,
  };
  return write(out, copies, `${JSON.stringify(model, null, 2)}\n`);
}

/**
 * Puts the files into the folder when all of them are whole.
 * @returns the bytes of the copies
 * @throws RunDirectoryError
 */
function write(out: string, copies: ReadonlyMap<string, string>, model: string): number {
  const made = makeFolder(out);
  let [bytes, path] = [0, join(out, modelFile)];
  try {
    whileScratch(scratchBeside(path), (unfinished) => {
      writeFileSync(join(unfinished, modelFile), model);
      for (const [name, from] of copies) {
        path = join(out, name);
        const copy = join(unfinished, name);
        mkdirSync(dirname(copy), { recursive: true });
        copyFileSync(from, copy);
        bytes += statSync(copy).size;
      }
      // First what marks the folder, so that a page that was interrupted can be written again.
      for (const name of [modelFile, ...copies.keys()]) {
        path = join(out, name);
        mkdirSync(dirname(path), { recursive: true });
        renameSync(join(unfinished, name), path);
      }
    });
    // Nobody shall find a picture that this page does not show.
    const sources = new Set([...copies.values()].map((from) => resolve(from)));
    for (const name of earlierFiles(out).filter((each) => !copies.has(each) && !sources.has(resolve(out, each)))) {
      path = join(out, name);
      rmSync(path);
    }
    return bytes;
  } catch (error) {
    throw writeFailure(path, error);
  } finally {
    removeEmpty(made);
  }
}

/** Pictures and gather form of this or an earlier page in a folder, by the names that only pages give. */
function earlierFiles(out: string): string[] {
  const folder = join(out, "examples");
  const pictures = existsSync(folder) ? readdirSync(folder).filter((name) => /^\d+(\.\w+)?$/.test(name)) : [];
  const gathers = existsSync(join(out, gatherFile)) ? [gatherFile] : [];
  return [...pictures.map((name) => `examples/${name}`), ...gathers];
}

/** The page takes one file for the other where it must. @throws UsageError */
function checkSameDetector(file: string, own: ExportMetadata | null, gatherForm: string): void {
  const described = ({ variant, resolution, classNames }: ExportMetadata) =>
    JSON.stringify([variant, resolution, classNames]);
  const other = describeHead(gatherForm);
  if (own !== null && other !== null && described(own) !== described(other))
    throw new UsageError(
      `Expected the detector of ${file} in another form but ${gatherForm} has another variant, resolution or classes`,
    );
}

/** @throws UsageError, DataError */
function checkPicture(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found?.isFile())
    throw new UsageError(
      `Expected a picture for the page but ${path} ${found === undefined ? "does not exist" : "is no file"}`,
    );
  if (readImageHeader(path).format === "TIFF")
    throw new UsageError(
      `Expected a picture that browsers show but ${path} is a TIFF image: convert it to JPEG or PNG`,
    );
}

/** `bird-nano.onnx` → `Bird nano`. */
function titleOf(file: string): string {
  const words = basename(file, extname(file)).replace(/[-_]+/g, " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** @throws UsageError if the folder holds anything but an earlier page */
function checkFolder(out: string): void {
  if (!existsSync(out)) return;
  if (!statSync(out).isDirectory()) throw new UsageError(`Expected a folder for the page but ${out} is a file`);
  const isEmpty = readdirSync(out).every(isScratch);
  if (!isEmpty && !existsSync(join(out, modelFile)))
    throw new UsageError(
      `Expected a new folder, or that of an earlier page, for the page but ${out} holds other files`,
    );
}

/** The folder `dist` of onnxruntime-web. @throws UsageError */
function runtimeFolder(): string {
  if (hasWebRuntime()) return dirname(webRuntimeFile());
  throw new UsageError(
    "Expected the package onnxruntime-web, which the page runs the file with, but it is not installed: run npm install onnxruntime-web",
  );
}

/** A compiled module with all modules of this package that it imports. */
function reachedFrom(module: string, known = new Set<string>()): Set<string> {
  known.add(module);
  const code = readFileSync(module, "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
  for (const [, name] of code.matchAll(/(?:^|\n)(?:import|export)\b[^;]*?\bfrom\s*"(\.[^"]+)"/g)) {
    const path = join(dirname(module), name);
    if (!known.has(path)) reachedFrom(path, known);
  }
  return known;
}
