// @ts-check
// Compiles the programs that stand in comments and documents.
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../check/repository.mjs";

/**
 * @param {string} name of the folder below `node_modules/.cache`, where the packages are found
 * @param {readonly {name: string, code: string}[]} programs in TypeScript, `name` without an ending
 * @param {string} [given] declarations of what they take as given
 * @returns {{errors: string[], folder: string}} what the compiler says, and where `NAME.js` are
 */
export function compile(name, programs, given = "export {};\n") {
  const folder = join(root, "node_modules/.cache", name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const { name, code } of programs) writeFileSync(join(folder, `${name}.ts`), code);
  writeFileSync(join(folder, "given.ts"), given);
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({
      extends: join(root, "tsconfig.base.json"),
      compilerOptions: {
        composite: false,
        declaration: false,
        sourceMap: false,
        verbatimModuleSyntax: false,
        lib: ["ES2023", "DOM", "DOM.Iterable", "ESNext.Disposable"],
        typeRoots: [join(root, "node_modules/@types")],
      },
      include: ["*.ts"],
    }),
  );
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const { stdout, status } = spawnSync(process.execPath, [tsc, "-p", folder], { encoding: "utf8" });
  return { errors: status === 0 ? [] : stdout.trim().split("\n"), folder };
}
