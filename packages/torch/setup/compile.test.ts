import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { addonSources, compileMissing, jobsOf } from "./addon.mjs";
import { compile, findCompiler } from "./compile.mjs";
import { platformHere } from "./machine.mjs";
import { hashesOf, mostTogether, unitsOf, withHeaders } from "./sources.mjs";

const folder = mkdtempSync(join(tmpdir(), "compile-"));
afterAll(() => rmSync(folder, { recursive: true }));
const saved = { ...process.env };
afterEach(() => {
  process.env = { ...saved };
});
const compiler = findCompiler() ?? ["g++"];

/** A folder of C++ files. */
function written(name: string, files: Record<string, string>): string {
  const native = join(folder, name);
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(native, file)), { recursive: true });
    writeFileSync(join(native, file), text);
  }
  return native;
}

/** Its units as jobs, with objects beside the files. */
function jobsIn(native: string) {
  const sources = readdirSync(native)
    .filter((name) => name.endsWith(".cc"))
    .map((name) => join(native, name));
  return unitsOf(sources, native).map((unit, i) => ({
    ...unit,
    common: ["-std=c++20"],
    hashes: hashesOf(unit, native),
    object: join(native, `${i}.o`),
  }));
}

describe("the object of a C++ file", () => {
  it("is made again when a header that it includes has changed, at any depth, and no other", () => {
    const native = join(folder, "native");
    mkdirSync(join(native, "kernels"), { recursive: true });
    const write = (name: string, text: string) => {
      writeFileSync(join(native, name), text);
      return join(native, name);
    };
    const source = write("kernels/a.cc", '#include "b.h"\n#include <vector>\n#include "root.h"\n');
    const inner = write("kernels/b.h", '#pragma once\n  #include "c.h"\n');
    const last = write("kernels/c.h", '#include "b.h"\n');
    const root = write("root.h", "");
    write("kernels/other.h", "");
    expect([...withHeaders(source, [native])].sort()).toEqual([source, inner, last, root].sort());
  });
});

describe("units", () => {
  const names = (units: { sources: string[] }[]) => units.map((unit) => unit.sources.map((file) => basename(file)));

  it("are files of a folder with the same flags that use libtorch; one that does not is alone", () => {
    const slow = "#include <ATen/ATen.h>\n";
    const native = written("units", {
      "slow.h": slow,
      "a.cc": `${slow}// ${"long".repeat(100)}`,
      "b.cc": '#include "slow.h"\n',
      "flags.cc": `// compile: -O3\n${slow}// ${"longer".repeat(100)}`,
      "same1.cc": `// compile: -O3 -g\n${slow}`,
      "same2.cc": `// compile: -O3 -g\n${slow}`,
      "plain.cc": "#include <vector>",
      "kernels/c.cc": slow,
    });
    const files = readdirSync(native, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".cc"))
      .sort()
      .map((name) => join(native, name));
    const units = unitsOf(files, native);
    expect(names(units)).toEqual([["flags.cc"], ["a.cc", "b.cc"], ["same1.cc", "same2.cc"], ["c.cc"], ["plain.cc"]]);
    expect(names(units.filter((unit) => !unit.usesLibtorch))).toEqual([["plain.cc"]]);
  });

  it("are of about the same number of files where there are many", () => {
    const many = Array.from({ length: 2 * mostTogether + 1 }, (_, i) => `${String.fromCharCode(97 + i)}.cc`);
    const native = written("many", Object.fromEntries(many.map((name) => [name, "#include <c10/a.h>\n"])));
    const units = unitsOf(
      many.map((name) => join(native, name)),
      native,
    );
    expect(names(units).flat().sort()).toEqual(many);
    expect(units.map((unit) => unit.sources.length).sort()).toEqual([6, 6, 7]);
  });

  it("compile, and a fault names the file that it is in", async () => {
    const native = written("compiled", {
      "shared.h": "#pragma once\ninline int shared() { return 1; }\n",
      // What makes files of libtorch's users of these.
      "torch/a.h": "",
      ...Object.fromEntries(
        ["a", "b", "c"].map((name) => [
          `${name}.cc`,
          `#include "shared.h"\n#include <torch/a.h>\nint ${name}() { return shared(); }\n`,
        ]),
      ),
      "own.cc": "// compile: -O1\n#include <torch/a.h>\n",
    });
    const jobs = jobsIn(native).map((job) => ({ ...job, common: [...job.common, `-I${native}`] }));
    expect(names(jobs)).toEqual([["a.cc", "b.cc", "c.cc"], ["own.cc"]]);
    const build = () => compile(jobs, compiler, native);
    await build();
    expect(jobs.filter((job) => !existsSync(job.object))).toEqual([]);

    writeFileSync(join(native, "b.cc"), "#include <torch/a.h>\nint b() { return missing; }\n");
    await expect(build()).rejects.toThrow(/could not build b\.cc[\s\S]*b\.cc:2:\d+: error: [\s\S]*missing/);
    writeFileSync(join(native, "broken.h"), "int f() { return missing; }\n");
    writeFileSync(join(native, "b.cc"), '#include <torch/a.h>\n#include "broken.h"\n');
    await expect(build()).rejects.toThrow(/could not build b\.cc[\s\S]*broken\.h:1/);
  });

  it("whose files change while they are compiled leave no object", async () => {
    const native = written("changing", { "a.cc": "#include <c10/a.h>\n" });
    writeFileSync(join(native, "b.cc"), "#include <c10/a.h>\n");
    const script = join(native, "compiler");
    writeFileSync(
      script,
      `#!/bin/sh\necho "// changed" >> ${join(native, "b.cc")}\nfor last; do :; done\ntouch "$last"\n`,
    );
    chmodSync(script, 0o755);
    const jobs = jobsIn(native);
    expect(jobs.length).toBe(1);
    await expect(compileMissing(jobs, [script])).rejects.toThrow(/b\.cc was changed while it was compiled/);
    expect(existsSync(jobs[0].object)).toBe(false);
  });
});

describe("the addon's files", () => {
  const sources = addonSources();

  it("have objects for any libtorch where they need none, so that they are compiled before it is there", () => {
    process.env.RFDETR_HOME = folder;
    const engine = { root: "/nowhere", version: "2.15.0", source: "cache" as const, cuda: false };
    const early = jobsOf(sources, compiler, platformHere, null);
    const all = jobsOf(sources, compiler, platformHere, engine).map((job) => job.object);
    expect(early.length).toBeGreaterThan(5);
    expect(early.filter((job) => !all.includes(job.object))).toEqual([]);
    const next = jobsOf(sources, compiler, platformHere, { ...engine, version: "2.16.0" }).map((job) => job.object);
    expect(next.filter((object) => all.includes(object)).sort()).toEqual(early.map((job) => job.object).sort());
  });
});
