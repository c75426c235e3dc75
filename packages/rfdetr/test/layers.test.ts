// Who may import whom, types included: read from the import lines of every source file.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** Packages from low to high: each imports only those before it. */
const packages = ["torch", "amp", "rfdetr"] as const;

/** Floors of `packages/rfdetr/src` from low to high: each imports only itself and those before it. */
const floors = [
  ["support"],
  ["charts"],
  ["masks"],
  ["model"],
  ["data"],
  ["loss"],
  ["weights"],
  ["settings"],
  ["eval"],
  ["onnx"],
  ["export"],
  ["browser"],
  ["pictures"],
  ["train"],
  ["predict"],
  ["run"],
  ["report"],
  ["dash"],
  ["instruments"],
  ["detector"],
  ["index.ts"],
  ["cli"],
];

interface Import {
  from: string;
  /** A file of this repository, or the name of a package. */
  to: string;
}

/**
 * Every TypeScript source below a folder, paths from the root of the repository; tests and what only tests use are left
 * out.
 */
function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts") && !entry.name.endsWith(".test.ts"))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((file) => !file.includes("/testing/"));
}

/** Static, type-only and dynamic imports, and re-exports. */
function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), "utf8").replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
  const pattern =
    /(?:^|\n)\s*(?:import|export)\b[^;]*?\bfrom\s*"([^"]+)"|\bimport\(\s*"([^"]+)"\s*\)|(?:^|\n)\s*import\s*"([^"]+)"/g;
  return [...text.matchAll(pattern)]
    .map(([, fixed, dynamic, bare]) => fixed ?? dynamic ?? bare)
    .map((name) => ({
      from: file,
      to: name.startsWith(".") ? join(dirname(file), name).replace(/\.js$/, ".ts") : name,
    }));
}

const files = packages.flatMap((name) => sources(`packages/${name}/src`));
const imports = files.flatMap(importsOf);
const arrow = ({ from, to }: Import): string => `${from} → ${to}`;

/** Groups of files that reach each other (strongly connected components of more than one file, after Tarjan 1972). */
function circles(nodes: readonly string[], arrows: readonly Import[]): string[][] {
  const next = new Map<string, string[]>(nodes.map((node) => [node, []]));
  for (const { from, to } of arrows) if (next.has(to)) next.get(from)?.push(to);
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const found: string[][] = [];
  const visit = (node: string): void => {
    index.set(node, index.size);
    low.set(node, index.get(node) as number);
    stack.push(node);
    for (const other of next.get(node) ?? []) {
      if (!index.has(other)) visit(other);
      if (stack.includes(other)) low.set(node, Math.min(low.get(node) as number, low.get(other) as number));
    }
    if (low.get(node) !== index.get(node)) return;
    const group = stack.splice(stack.indexOf(node));
    if (group.length > 1) found.push(group.sort());
  };
  for (const node of nodes) if (!index.has(node)) visit(node);
  return found;
}

describe("packages", () => {
  it("import one way: rfdetr → amp → torch", () => {
    const names = ["@rfdetr/torch", "@rfdetr/amp", "rfdetr"];
    const wrong = imports.filter(({ from, to }) => {
      const above = names.slice(packages.findIndex((name) => from.startsWith(`packages/${name}/`)) + 1);
      return above.some((name) => to === name || to.startsWith(`${name}/`));
    });
    expect(wrong.map(arrow)).toEqual([]);
  });

  it("import one another by name, never by a path into another package", () => {
    const home = (path: string): string => path.split("/").slice(0, 2).join("/");
    const wrong = imports.filter(({ from, to }) => to.startsWith("packages/") && home(from) !== home(to));
    expect(wrong.map(arrow)).toEqual([]);
  });
});

describe("floors of packages/rfdetr/src", () => {
  const base = "packages/rfdetr/src/";
  const placeOf = (path: string): string => path.slice(base.length).split("/")[0];
  const floorOf = (path: string): number => floors.findIndex((names) => names.includes(placeOf(path)));
  const inside = imports.filter(({ from, to }) => from.startsWith(base) && to.startsWith(base));

  it("hold every file", () => {
    expect(files.filter((file) => file.startsWith(base) && floorOf(file) < 0)).toEqual([]);
  });

  it("import only what lies below", () => {
    expect(inside.filter(({ from, to }) => floorOf(to) > floorOf(from)).map(arrow)).toEqual([]);
  });

  it("model knows nothing of data, training or evaluation", () => {
    const wrong = inside.filter(
      ({ from, to }) => placeOf(from) === "model" && !["model", "masks", "support"].includes(placeOf(to)),
    );
    expect(wrong.map(arrow)).toEqual([]);
  });

  it("model knows nothing of precision, but for its table of exceptions and for running a block again", () => {
    const allowed = ["precision/precision.ts", "checkpointing.ts"].map((name) => `${base}model/${name}`);
    const wrong = imports.filter(({ from, to }) => from.startsWith(`${base}model/`) && to.startsWith("@rfdetr/amp"));
    expect(wrong.filter(({ from }) => !allowed.includes(from)).map(arrow)).toEqual([]);
  });

  it("data knows nothing of the model", () => {
    const wrong = inside.filter(
      ({ from, to }) => placeOf(from) === "data" && !["data", "masks", "support"].includes(placeOf(to)),
    );
    expect(wrong.map(arrow)).toEqual([]);
  });

  it("loss knows nothing of data but the type Target", () => {
    const wrong = inside.filter(
      ({ from, to }) => placeOf(from) === "loss" && placeOf(to) === "data" && to !== `${base}data/target.ts`,
    );
    expect(wrong.map(arrow)).toEqual([]);
  });

  it("only the command imports the instruments", () => {
    const wrong = inside.filter(
      ({ from, to }) => placeOf(to) === "instruments" && !["instruments", "cli"].includes(placeOf(from)),
    );
    expect(wrong.map(arrow)).toEqual([]);
  });
});

describe("files", () => {
  it("import one another without circles", () => {
    expect(circles(files, imports)).toEqual([]);
  });
});
