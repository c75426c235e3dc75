// The tarballs that `npm run pack` makes, and what `node tools/consumers/main.mjs` does with them as far as it needs no
// network.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { root } from "../check/repository.mjs";
import { forNode } from "./languages.mjs";
import { run, tarballsIn, unpack } from "./project.mjs";

const folder = mkdtempSync(join(tmpdir(), "pack-"));
const platform = `${process.platform}-${process.arch}`;
const tar = (...args: string[]): string => execFileSync("tar", args, { cwd: folder, encoding: "utf8" });
const json = (tarball: string, file: string) => JSON.parse(tar("-xOzf", tarball, `package/${file}`));
const tarballs = () => readdirSync(folder).filter((name) => name.endsWith(".tgz"));

let said = "";

beforeAll(() => {
  said = execFileSync(process.execPath, [join(root, "tools/pack.mjs"), folder, "--platform", platform], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
});
afterAll(() => rmSync(folder, { recursive: true }));

it("are one for each package, and one for this platform's addon", () => {
  expect(tarballs().sort()).toEqual([
    "rfdetr-0.1.0.tgz",
    "rfdetr-amp-0.1.0.tgz",
    "rfdetr-torch-0.1.0.tgz",
    `rfdetr-torch-${platform}-0.1.0.tgz`,
  ]);
});

it("come with the commands that install them and fetch libtorch", () => {
  const [install, setup] = said.trimEnd().split("\n").slice(-2);
  expect(install?.split(" ").slice(2).sort()).toEqual(
    tarballs()
      .map((name) => join(folder, name))
      .sort(),
  );
  expect([install, setup]).toEqual([
    expect.stringMatching(/^npm install /),
    expect.stringMatching(/^npx rfdetr setup /),
  ]);
});

it("run no script when they are installed, and hold no tests", () => {
  for (const tarball of tarballs()) {
    const { scripts = {} } = json(tarball, "package.json");
    expect(Object.keys(scripts).filter((name) => /install|prepare/.test(name))).toEqual([]);
    expect(
      tar("-tzf", tarball)
        .split("\n")
        .filter((path) => /\.test\.|\/testing\/|\/test\//.test(path)),
    ).toEqual([]);
  }
});

it("bring a prebuilt addon as an optional package for one platform, which loads with glibc 2.28", () => {
  const name = `@rfdetr/torch-${platform}`;
  expect(json("rfdetr-torch-0.1.0.tgz", "package.json").optionalDependencies).toMatchObject({ [name]: "0.1.0" });
  const tarball = `rfdetr-torch-${platform}-0.1.0.tgz`;
  expect(json(tarball, "package.json")).toMatchObject({ name, os: [process.platform], cpu: [process.arch] });
  const { glibc } = json(tarball, "manifest.json");
  if (process.platform === "linux") expect(glibc.localeCompare("2.28", "en", { numeric: true })).toBeLessThanOrEqual(0);
  expect(tar("-tzf", tarball)).toContain("package/torch.node");
});

it("have the types that programs need, load from CommonJS, train and predict in a project of their own", async () => {
  const project = join(folder, "a project");
  unpack(project, tarballsIn(folder));
  const rfdetr = (...words: string[]) =>
    run(project, process.execPath, ["node_modules/rfdetr/bin/rfdetr.mjs", ...words]);
  // Data need no libtorch.
  const said = await rfdetr("data", "synth", "birds", "--images", "8", "--size", "64", "--classes", "2");
  expect(said).toMatch(/^8 training/);
  await rfdetr("setup");
  const place = { scratch: folder, tarballs: [], project, data: join(project, "birds"), proved: false, tool: () => "" };
  await forNode(place, "commonjs", true);
});
