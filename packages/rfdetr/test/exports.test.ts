// What users import: every subpath of the three packages' `exports`, as compiled, and what importing it loads.
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const subpaths = ["torch", "amp", "rfdetr"].flatMap((folder) => {
  const { name, exports } = JSON.parse(readFileSync(`${root}/packages/${folder}/package.json`, "utf8"));
  return Object.keys(exports)
    .filter((key) => !key.endsWith(".json") && key !== "./setup")
    .map((key): string => name + key.slice(1));
});

/** Names that a fresh process of Node sees in a compiled module, and whether it has loaded libtorch then. */
function compiled(specifier: string): { names: string[]; libtorch: boolean } {
  const program = `
    const names = Object.keys(await import(${JSON.stringify(specifier)})).sort();
    const libtorch = process.report.getReport().sharedObjects.some((path) => /torch/.test(path));
    console.log(JSON.stringify({ names, libtorch }));`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", program], {
    cwd: `${root}/packages/rfdetr`,
    encoding: "utf8",
  });
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout);
}

describe("a package", () => {
  it.each(["torch", "amp", "rfdetr"])("%s carries the licence of the repository", (folder) => {
    expect(readFileSync(`${root}/packages/${folder}/LICENSE`, "utf8")).toBe(readFileSync(`${root}/LICENSE`, "utf8"));
  });

  it("rfdetr carries the credits of the repository", () => {
    expect(readFileSync(`${root}/packages/rfdetr/NOTICE`, "utf8")).toBe(readFileSync(`${root}/NOTICE`, "utf8"));
  });
});

describe("exports", () => {
  it.each(subpaths)("%s resolves in the build to what its source exports", async (specifier) => {
    const source = Object.keys(await import(/* @vite-ignore */ specifier)).sort();
    expect(compiled(specifier).names).toEqual(source);
    expect(source.length).toBeGreaterThan(0);
  });

  it("can be required from CommonJS, with the names that an import sees", async () => {
    const program = `console.log(JSON.stringify(${JSON.stringify(subpaths)}.map((name) => Object.keys(require(name)))))`;
    const stdout = execFileSync(process.execPath, ["--input-type=commonjs", "--eval", program], {
      cwd: `${root}/packages/rfdetr`,
      encoding: "utf8",
    });
    const required: string[][] = JSON.parse(stdout);
    for (const [i, specifier] of subpaths.entries()) {
      const names = required[i].filter((name) => name !== "__esModule").sort();
      expect(names, specifier).toEqual(Object.keys(await import(/* @vite-ignore */ specifier)).sort());
    }
  });

  it("keeps what is not listed inside", () => {
    expect(() => compiled("rfdetr/dist/detector/detector.js")).toThrow("ERR_PACKAGE_PATH_NOT_EXPORTED");
  });

  it.each(["rfdetr", "rfdetr/settings", "rfdetr/data", "rfdetr/run", "rfdetr/report", "rfdetr/support"])(
    "%s loads no libtorch",
    (specifier) => {
      expect(compiled(specifier).libtorch).toBe(false);
    },
  );

  it("sees libtorch where it is loaded", () => {
    expect(compiled("rfdetr/model").libtorch).toBe(true);
  });
});
