import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { addonSources, commonFlags, compileMissing, jobsOf } from "./addon.mjs";
import { compile, findCompiler, isGcc } from "./compile.mjs";
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
  mkdirSync(join(native, "kernels"), { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(native, file), text);
  return native;
}

/** Its units as jobs, with objects beside the files. */
function jobsIn(native: string) {
  const sources = readdirSync(native)
    .filter((name) => name.endsWith(".cc"))
    .map((name) => join(native, name));
  return unitsOf(sources, native, join(native, "precompiled.h")).map((unit, i) => ({
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

  it("are files with the same flags that include a precompiled header; one without such a header is alone", () => {
    const slow = "#include <ATen/ATen.h>\n";
    const native = written("units", {
      "precompiled.h": slow,
      "slow.h": slow,
      "a.cc": `${slow}// ${"long".repeat(100)}`,
      "b.cc": '#include "slow.h"\n',
      "flags.cc": `// compile: -O3\n${slow}// ${"longer".repeat(100)}`,
      "same1.cc": `// compile: -O3 -g\n${slow}`,
      "same2.cc": `// compile: -O3 -g\n${slow}`,
      "light.cc": "#include <torch/version.h>\n",
      "plain.cc": "#include <vector>",
      "kernels/c.cc": slow,
    });
    const files = readdirSync(native, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".cc"))
      .sort()
      .map((name) => join(native, name));
    const units = unitsOf(files, native, join(native, "precompiled.h"));
    expect(names(units)).toEqual([
      ["flags.cc"],
      ["a.cc", "b.cc"],
      ["same1.cc", "same2.cc"],
      ["light.cc"],
      ["c.cc"],
      ["plain.cc"],
    ]);
    expect(units.filter((unit) => !unit.usesPrecompiled).length).toBe(2);
    expect(names(units.filter((unit) => !unit.usesLibtorch))).toEqual([["plain.cc"]]);
  });

  it("are of about the same number of files where there are many", () => {
    const many = Array.from(
      { length: 2 * mostTogether.withoutFlags + 1 },
      (_, i) => `${String.fromCharCode(97 + i)}.cc`,
    );
    const native = written(
      "many",
      Object.fromEntries([...many, "precompiled.h"].map((name) => [name, "#include <a.h>\n"])),
    );
    const units = unitsOf(
      many.map((name) => join(native, name)),
      native,
      join(native, "precompiled.h"),
    );
    expect(names(units).flat().sort()).toEqual(many);
    expect(units.map((unit) => unit.sources.length).sort()).toEqual([5, 6, 6]);
  });

  it("compile with a precompiled header or without, and a fault names the file that it is in", async () => {
    const native = written("compiled", {
      "precompiled.h": "#include <cstdint>\n",
      "shared.h": "#pragma once\ninline int shared() { return 1; }\n",
      ...Object.fromEntries(
        ["a", "b", "c"].map((name) => [
          `${name}.cc`,
          `#include "shared.h"\n#include <cstdint>\nint ${name}() { return shared(); }\n`,
        ]),
      ),
    });
    for (const i of [1, 2, 3]) writeFileSync(join(native, `own${i}.cc`), `// compile: -O${i}\n#include <cstdint>\n`);
    const jobs = jobsIn(native);
    expect(jobs.length).toBe(4);
    const build = () => compile(jobs, compiler, native, join(native, "precompiled.h"));
    await build();
    expect(jobs.filter((job) => !existsSync(job.object))).toEqual([]);
    expect(readdirSync(native).filter((name) => name.startsWith("precompiled-"))).toEqual([]);

    writeFileSync(join(native, "b.cc"), "#include <cstdint>\nint b() { return missing; }\n");
    await expect(build()).rejects.toThrow(/could not build b\.cc[\s\S]*b\.cc:2:\d+: error: [\s\S]*missing/);
    writeFileSync(join(native, "broken.h"), "int f() { return missing; }\n");
    writeFileSync(join(native, "b.cc"), '#include <cstdint>\n#include "broken.h"\n');
    await expect(build()).rejects.toThrow(/could not build b\.cc[\s\S]*broken\.h:1/);
  });

  it("whose files change while they are compiled leave no object", async () => {
    const native = written("changing", { "precompiled.h": "#include <a.h>\n", "a.cc": "#include <a.h>\n" });
    writeFileSync(join(native, "b.cc"), "#include <a.h>\n");
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
  const native = fileURLToPath(new URL("../native", import.meta.url));

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

  // GCC leaves a precompiled header unused, without a word, where a flag defines a macro that the header looks at.
  it.runIf(isGcc(compiler))("ask for no flag that keeps them from the precompiled header", () => {
    const header = join(written("flags", { "std.h": "#include <cassert>\n#include <cmath>\n" }), "std.h");
    const compiled = (...args: string[]) =>
      spawnSync(compiler[0], [...compiler.slice(1), ...commonFlags(compiler), ...args], { encoding: "utf8" }).stderr;
    const use = (flags: string[]) =>
      compiled(...flags, "-Winvalid-pch", "-include", header, "-fsyntax-only", "-x", "c++", "/dev/null");
    expect(compiled("-x", "c++-header", header, "-o", `${header}.gch`)).toBe("");
    expect(use(["-D__FAST_MATH__"])).toContain("not used");
    for (const { flags } of unitsOf(sources, native, join(native, "precompiled.h")).filter((u) => u.usesPrecompiled))
      expect(use(flags)).toBe("");
  });
});
