import { describe, expect, test } from "vitest";
import { breaches } from "./messages.mjs";
import { messages } from "./texts.mjs";

const library = "packages/rfdetr/src/data/a.ts";
const listed = (text: string, path = library) =>
  messages([{ path, text }]).map(({ line, kind, text }) => `${line} ${kind}: ${text}`);
const wrong = (text: string, path = library) =>
  breaches([{ path, text }]).map((breach) => breach.slice(path.length + 1));

describe("messages", () => {
  test("errors, printed lines, help and other prose are listed with what is put in left out", () => {
    const program = `
      throw new DatasetError(\`Expected \${x} but received \` + y, { cause });
      throw fail(ok ? "One way of it" : "Another way of it");
      console.warn("Slow disk");
      command.option("--data <dir>", "the dataset", "a-default");
      const row = { about: "folder of the run", key: "name", import: "./a.js" };`;
    expect(listed(program)).toEqual([
      "2 error: Expected … but received …",
      "3 error: One way of it",
      "3 error: Another way of it",
      "4 console: Slow disk",
      "5 help: --data <dir>",
      "5 help: the dataset",
      "6 text: folder of the run",
    ]);
  });

  test("what an error's class puts its own words before is a part of a message", () => {
    const program = `
      class FileError extends Error { constructor(path, found) { super(\`Expected a file but \${path} \${found}\`); } }
      throw new FileError(path, "ends too early");`;
    expect(listed(program)).toEqual(["2 error: Expected a file but … …", "3 part: ends too early"]);
    expect(wrong(program)).toEqual([]);
  });

  test("C++", () => {
    const program = `
      TORCH_CHECK(x.dim() == 2,
                  "Expected a matrix; received ", x.sizes());
      throw std::runtime_error("gone away");`;
    expect(listed(program, "a.cc")).toEqual(["2 error: Expected a matrix; received ", "4 error: gone away"]);
  });

  test.each([
    ['throw new Error("Expected a file.")', "1: ends in a full stop"],
    ['throw new Error("Expected  a file")', "1: has two spaces in a row"],
    ['throw new Error("expected a file")', "1: does not start with a capital letter or a name in quotes"],
    ['const remedy = "choose another folder with --out";', "1: names an option of the command in library code"],
  ])("%s", (program, breach) => {
    expect(wrong(program)).toEqual([expect.stringContaining(breach)]);
  });

  test("the command may name its options", () => {
    expect(wrong('throw new Error("Expected a number for --batch")', "packages/rfdetr/src/cli/a.ts")).toEqual([]);
  });
});
