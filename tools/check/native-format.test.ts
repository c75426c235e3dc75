import { expect, test } from "vitest";
import { unformatted } from "./native-format.mjs";
import { read } from "./repository.mjs";

const style = read(".clang-format").text;

test("gives the files that change, formatted", () => {
  const files = [
    { path: "a.cc", text: "int a() { return 1; }\n" },
    { path: "b.cc", text: "int  b()  {return 2;}\n" },
  ];
  expect(unformatted(files, style)).toEqual([{ path: "b.cc", text: "int b() { return 2; }\n" }]);
});

test("leaves compiler flags on the first line, where the setup reads them", () => {
  const text = `// compile: ${"-mavx512f ".repeat(20).trim()}\nint a;\n`;
  expect(unformatted([{ path: "a.cc", text }], style)).toEqual([]);
});
