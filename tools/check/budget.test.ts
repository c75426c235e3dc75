import { describe, expect, test } from "vitest";
import { breaches, coreLines, limits, table } from "./budget.mjs";

const lines = (count: number, line = "x;") => `${Array(count).fill(line).join("\n")}\n`;
const script = (path: string, body: string) => ({ path, text: body });

describe("budget", () => {
  test("files within the limits breach nothing", () => {
    expect(breaches([script("tools/a.mjs", lines(limits.file))], [])).toEqual([]);
  });

  test("a long file, unless it is a test", () => {
    const text = lines(limits.file + 1);
    expect(breaches([script("tools/a.mjs", text), script("tools/a.test.ts", text)], [])).toEqual([
      "tools/a.mjs:1: file of 301, at most 300",
    ]);
  });

  test("a long line, by characters and not by bytes; prose but neither code nor tables in Markdown", () => {
    const long = "é".repeat(121);
    const markdown = ["# Title", "", long, `| ${long} |`, "```", long, "```", `[${"x".repeat(100)}](${long})`].join(
      "\n",
    );
    expect(
      breaches([script("a.ts", `// ${"é".repeat(117)}\n// ${"é".repeat(118)}`), script("a.md", markdown)], []),
    ).toEqual(["a.ts:2: line of 121, at most 120", "a.md:3: line of 121, at most 120"]);
  });

  test("text in quotes is short in code, and as long as it is in comments, except for types", () => {
    const long = "x".repeat(110);
    const code = `say("${long}", "${long}");\n// Says \`${long}\`.\n/** @type {"${long}"} */\n`;
    expect(breaches([script("a.ts", code)], [])).toEqual(["a.ts:2: line of 121, at most 120"]);
  });

  test.each([
    ["a.ts", `class A {\n  method(): number {\n${lines(79, "    f();")}  }\n}\n`, "a.ts:2: function method of 81"],
    ["a.ts", `export const arrow = (): void => {\n${lines(79)}};\n`, "a.ts:1: function arrow of 81"],
    [
      "a.cc",
      `struct S {\n  int method(int a,\n             int b) {\n${lines(78, "    f();")}  }\n};\n`,
      "a.cc:2: function method of 81",
    ],
    [
      "a.cc",
      `namespace a {\nint f(int x) {\n${lines(79, "  if (x) {\n  }")}}\n}  // namespace a\n`,
      "a.cc:2: function f of 160",
    ],
    ["a.py", `def f(\n    x,\n) -> int:\n${lines(78, "    g()")}\n\ndef g():\n    pass\n`, "a.py:1: function f of 81"],
  ])("a long function in %s", (path, text, breach) => {
    expect(breaches([script(path, text)], [])).toEqual([`${breach}, at most 80`]);
  });

  test("an exception allows what it names, and is a breach itself once nothing needs it", () => {
    const files = [script("tools/a.mjs", lines(limits.file + 1))];
    const exception = { limit: "file" as const, file: "a.mjs", reason: "a table" };
    expect(breaches(files, [exception])).toEqual([]);
    expect(breaches(files, [exception, { ...exception, limit: "function", name: "f" }])).toEqual([
      "tools/check/budget.mjs: the exception function a.mjs f is no longer needed",
    ]);
  });

  test("the core is torch, native, amp, model and loss", () => {
    const places = [
      "torch/src",
      "torch/native/kernels",
      "amp/src",
      "rfdetr/src/model",
      "rfdetr/src/loss",
      "rfdetr/src/cli",
    ];
    const files = places.map((place) => script(`packages/${place}/a.ts`, lines(10)));
    expect(coreLines(table(files))).toBe(50);
    const enough = Math.floor(limits.core / limits.file) + 1;
    const many = Array.from({ length: enough }, (_, i) => script(`packages/amp/src/${i}.ts`, lines(limits.file)));
    expect(breaches(many.slice(1), [])).toEqual([]);
    expect(breaches(many, [])).toEqual([`core: ${enough * limits.file} lines, at most ${limits.core}`]);
  });
});
