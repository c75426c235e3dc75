// What the browser module brings along: read from its imports, and from what a bundler makes of it.

import { readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";
import { describe, expect, it } from "vitest";

const dist = fileURLToPath(new URL("../../dist/", import.meta.url));
const entry = join(dist, "browser", "index.js");

/** Every compiled file that is reached, with the packages that it imports. */
function reached(file: string, known = new Map<string, string[]>()): Map<string, string[]> {
  const code = readFileSync(file, "utf8").replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
  const names = [...code.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)].map(([, name]) => name);
  known.set(
    relative(dist, file),
    names.filter((name) => !name.startsWith(".")),
  );
  for (const name of names.filter((each) => each.startsWith("."))) {
    const next = join(dirname(file), name);
    if (!known.has(relative(dist, next))) reached(next, known);
  }
  return known;
}

describe("rfdetr/browser", () => {
  const files = reached(entry);

  it("imports onnxruntime-web, and nothing of Node or libtorch", () => {
    expect([...new Set([...files.values()].flat())].sort()).toEqual(["onnxruntime-web/wasm", "onnxruntime-web/webgpu"]);
  });

  it("reaches few files, of the floors below it", () => {
    const folders = [...files.keys()].map((file) => dirname(file));
    expect([...new Set(folders)].sort()).toEqual(["browser", "data/images", "eval", "masks", "onnx", "support"]);
    expect(files.size).toBeLessThan(30);
  });

  it("can be bundled for browsers", async () => {
    const complaints: string[] = [];
    const build = await rolldown({
      input: entry,
      platform: "browser",
      external: [/^onnxruntime-web/],
      onLog: (_, { message }) => complaints.push(message),
    });
    const { output } = await build.generate({ format: "esm", minify: true });
    await build.close();
    expect(complaints).toEqual([]);
    const [chunk] = output;
    const foreign = chunk.imports.concat(chunk.dynamicImports);
    expect(foreign.filter((name) => !name.startsWith("onnxruntime-web/"))).toEqual([]);
    expect(builtinModules.filter((name) => chunk.code.includes(`"node:${name}"`))).toEqual([]);
    // Without onnxruntime.
    expect(chunk.code.length).toBeLessThan(24_000);
  });
});
