// The code of the documents does what they say: every block is run, or says why it is not.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { read, written } from "../check/repository.mjs";
import { blocksOf } from "./read.mjs";
import { codeToRun, wordsToRun } from "./stand-ins.mjs";

describe("the code blocks of the documents", () => {
  let report: { errors: string[]; failed: string[]; held: string[]; unnamed: string[] };
  beforeAll(() => {
    const tool = fileURLToPath(new URL("run.mjs", import.meta.url));
    const stdout = execFileSync("sh", ["-c", 'node "$0" --json || true', tool], { encoding: "utf8" });
    report = JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "");
  });

  it("have right types", () => {
    expect(report.errors).toEqual([]);
  });

  it("run", () => {
    expect(report.failed).toEqual([]);
  });

  it("say what language they are in", () => {
    expect(report.unnamed).toEqual([]);
  });

  it("are held back for these reasons only", () => {
    expect([...new Set(report.held)]).toEqual([
      "CONTRIBUTING.md: not run: needs the repository's address",
      "CONTRIBUTING.md: not run: runs every test",
      "CONTRIBUTING.md: not run: writes pages of this repository",
      "CONTRIBUTING.md: not run: needs the Python package",
      "README.md: not run: the packages are not in the registry yet; the commands below are run by other pages",
      "docs/architecture.md: not run: a part of packages/torch/src/dispatch.ts",
      "docs/debugging.md: not run: goes before any command",
      "docs/debugging.md: not run: needs gdb",
      "docs/debugging.md: not run: compiles the addon again",
      "docs/debugging.md: not run: compiles the kernels again",
      "docs/debugging.md: not run: needs an addon with a sanitizer",
      "docs/deploy.md: types only: runs in a browser",
      "docs/gpu.md: not run: needs a GPU",
      "docs/guides/numerics.md: not run: needs a run in progress; tests give it these commands",
      "docs/guides/start.md: not run: the packages are not in the registry yet",
      "docs/guides/start.md: not run: several minutes; tests train the demo's detector",
      "docs/predict.md: not run: needs ffmpeg, a video and a camera",
      "docs/predict.md: types only: needs ffmpeg and a video",
      "docs/scale-out.md: not run: measures for an hour, and needs root",
      "docs/several-processes.md: not run: needs two machines",
      "docs/several-processes.md: not run: needs torchrun",
      "docs/several-processes.md: not run: needs SLURM; a test reads it",
    ]);
  });
});

describe("a code block", () => {
  const page = [
    "<!-- not run: needs a GPU -->",
    "",
    "```sh",
    "npx rfdetr doctor",
    "```",
    "Text.",
    "```ts",
    "f();",
    "```",
  ].join("\n");

  it("is held back by the comment before it, and only that one", () => {
    expect(blocksOf({ path: "a.md", text: page })).toEqual([
      {
        path: "a.md",
        line: 3,
        language: "sh",
        code: "npx rfdetr doctor\n",
        held: { kind: "not run", reason: "needs a GPU" },
      },
      { path: "a.md", line: 7, language: "ts", code: "f();\n", held: null },
    ]);
  });

  it("runs as it is written, except for what would take long", () => {
    expect(wordsToRun(["data", "check", "birds/"], () => true)).toEqual(["data", "check", "birds/"]);
    expect(wordsToRun(["val", "--weights", "nano", "--data", "birds/"], () => true)).toEqual([
      ...["val", "--weights", "runs/nano", "--data", "birds/"],
    ]);
    expect(wordsToRun(["train", "--data", "birds/", "--model", "nano", "--batch", "4"], () => true)).toEqual([
      ...["train", "--data", "birds/", "--model", "tiny", "--batch", "4", "--out", "runs/nano"],
      ...["--set", "max_steps=2", "--set", "multi_scale=off", "--set", "plots=false", "--set", "num_workers=0"],
      "--plain",
    ]);
    expect(codeToRun('RFDETR.create("nano").train({ epochs: 5 })')).toBe(
      'RFDETR.create("tiny").train({ batchSize: 2, maxSteps: 2, multiScale: "off", plots: false, numWorkers: 0, epochs: 5 })',
    );
  });
});

describe("the guide to messages", () => {
  it("quotes what the program says", () => {
    const program = written(/^packages\/.*\.(ts|mjs)$/)
      .map(({ text }) => text.replace(/\$\{[^}]*\}/g, "…"))
      .join("\n");
    const rows = read("docs/guides/troubleshooting.md").text.match(/^\| \*[^*|]+\*/gm) ?? [];
    const parts = rows.flatMap((row) => row.slice(3, -1).split(/…|\b[NM]\b/));
    expect(rows.length).toBeGreaterThan(10);
    expect(parts.map((part) => part.trim()).filter((part) => !program.includes(part))).toEqual([]);
  });
});
