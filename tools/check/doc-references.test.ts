import { describe, expect, test } from "vitest";
import { breaches, unshownPictures } from "./doc-references.mjs";

const files: Record<string, string> = {
  "README.md": "# Title\n\n## Getting started, twice\n",
  "docs/precision.md": "",
  "packages/amp/src/policy.ts": "export class PolicyError {}\nexport const policy = {};\n",
  "packages/amp/src/autocast.ts": "",
};
const repository = {
  paths: Object.keys(files),
  read: (path: string) => ({ path, text: files[path] as string }),
  scripts: ["demo"],
  commands: new Set(["train", "data", "check"]),
  options: new Set(["--data", "--epochs"]),
};
const found = (text: string, path = "docs/page.md") =>
  breaches([{ path, text }], repository).map((line) => line.replace(`${path}:`, ""));

describe("references of documents", () => {
  test("what exists is found by the end of its path, its symbol, its heading", () => {
    const page = [
      "`policy.ts`, `amp/src/policy.ts: PolicyError`, `src/{policy,autocast}.ts`, `docs/`, `config.json`",
      "[a](precision.md) [b](../README.md#getting-started-twice) [c](https://example.org/none.md)",
      "```sh",
      "npm run demo && npx rfdetr train --data birds/ --epochs 3   # --not-an-option of a comment",
      "npx rfdetr data check birds/",
      "```",
    ];
    expect(found(page.join("\n"))).toEqual([]);
  });

  test.each([
    ["`src/nowhere.ts`", "1: no file src/nowhere.ts"],
    ["`olicy.ts`", "1: no file olicy.ts"],
    ["`src/{policy,gone}.ts`", "1: no file src/gone.ts"],
    ["`policy.ts: Polic`", "1: no Polic in packages/amp/src/policy.ts"],
    ["`docs/nowhere`", "1: no file or folder docs/nowhere"],
    ["\n[a](nowhere.md)", "2: no file docs/nowhere.md"],
    ["[a](../README.md#nowhere)", "1: no heading #nowhere in README.md"],
    ['<img src="nowhere.png" alt="a page">', "1: no file docs/nowhere.png"],
    ["`npm run nothing`", "1: no script npm run nothing"],
    ["`rfdetr fly`", "1: no command rfdetr fly"],
    ["`npx rfdetr data fly birds/`", "1: no command rfdetr data fly"],
    ["```\nnpx rfdetr train --date birds/\n```", "2: no option --date of rfdetr"],
  ])("%s does not exist", (text, breach) => {
    expect(found(text)).toEqual([breach]);
  });

  test("a picture that no document shows", () => {
    const page = { path: "docs/page.md", text: '![a](images/a.png) <source srcset="images/b.png">' };
    expect(unshownPictures([page], ["docs/images/a.png", "docs/images/b.png", "docs/images/c.png"])).toEqual([
      "docs/images/c.png: no document shows this picture",
    ]);
  });

  test("a link to a name that the file neither declares nor imports, and a command that help sends to", () => {
    const code = [
      'import { Policy } from "./policy.js";',
      "/** As {@link Policy} and {@link Rules.of}, see {@link nowhere}. */",
      "class Rules { static of() {} }",
      'help("see rfdetr train --epochs", "see rfdetr fly, or see rfdetr train --date");',
    ];
    expect(found(code.join("\n"), "a.ts")).toEqual([
      "2: {@link nowhere} leads to nothing that the file declares or imports",
      "4: no command rfdetr fly",
      "4: no option --date of rfdetr",
    ]);
  });

  test("a comment that names a path which has moved", () => {
    expect(found("// see docs/precision.md\nconst x = 1; // twin of packages/amp/src/gone.ts\n", "a.ts")).toEqual([
      "2: no file packages/amp/src/gone.ts",
    ]);
  });
});
