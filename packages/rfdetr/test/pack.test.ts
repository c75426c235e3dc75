// The tarballs that `npm run pack` makes.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "pack-"));
const platform = `${process.platform}-${process.arch}`;
const tar = (...args: string[]): string => execFileSync("tar", args, { cwd: folder, encoding: "utf8" });
const json = (tarball: string, file: string) => JSON.parse(tar("-xOzf", tarball, `package/${file}`));

beforeAll(() => {
  execFileSync(process.execPath, [join(root, "tools/pack.mjs"), folder, "--platform", platform], {
    cwd: root,
    stdio: "ignore",
  });
});
afterAll(() => rmSync(folder, { recursive: true }));

it("are one for each package, and one for this platform's addon", () => {
  expect(readdirSync(folder).sort()).toEqual([
    "rfdetr-0.1.0.tgz",
    "rfdetr-amp-0.1.0.tgz",
    "rfdetr-torch-0.1.0.tgz",
    `rfdetr-torch-${platform}-0.1.0.tgz`,
  ]);
});

it("run no script when they are installed, and hold no tests", () => {
  for (const tarball of readdirSync(folder)) {
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
