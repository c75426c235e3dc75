import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Engine } from "./engine.mjs";
import { builtFor, installAddon, removeLeftovers } from "./install.mjs";
import { platformHere } from "./machine.mjs";
import { faultOfLoading, hashOfSources, type Manifest, packageOf, prebuiltFolder } from "./prebuilt.mjs";

const own = fileURLToPath(new URL("../build", import.meta.url));
const engine: Engine = { ...JSON.parse(readFileSync(join(own, "engine.json"), "utf8")), cuda: false };
const saved = { ...process.env };
let torch: string;

/** A package with one C++ file and an addon that was made of it: the one of this checkout, which can be loaded. */
beforeEach(() => {
  Object.assign(process.env, { PATH: "", CXX: "" });
  torch = mkdtempSync(join(tmpdir(), "package-"));
  mkdirSync(join(torch, "native"));
  writeFileSync(join(torch, "native", "a.cc"), "int a;");
  mkdirSync(prebuiltFolder(torch), { recursive: true });
  copyFileSync(join(own, "torch.node"), join(prebuiltFolder(torch), "torch.node"));
  describeAddon({});
});
afterEach(() => {
  process.env = { ...saved };
  rmSync(torch, { recursive: true });
});

function describeAddon(change: Partial<Manifest>): void {
  const bytes = readFileSync(join(prebuiltFolder(torch), "torch.node"));
  const manifest: Manifest = {
    sources: hashOfSources(join(torch, "native")),
    torch: engine.version,
    nodeApi: 9,
    glibc: "2.17",
    sha256: createHash("sha256").update(bytes).digest("hex"),
    ...change,
  };
  writeFileSync(join(prebuiltFolder(torch), "manifest.json"), JSON.stringify(manifest));
}
const replaceAddon = (bytes: Buffer | string) => writeFileSync(join(prebuiltFolder(torch), "torch.node"), bytes);

it("leaves nothing of a set-up that was killed, and all else", () => {
  const kept = ["engine.json", "torch.node", "tmp.node"];
  for (const name of [...kept, "torch.4711.tmp.node", "engine.4711", "setup.json.4711"])
    writeFileSync(join(torch, name), "");
  removeLeftovers(torch, join(torch, "none"));
  expect(readdirSync(torch)).toEqual(expect.arrayContaining(kept));
  expect(readdirSync(torch).filter((name) => name.includes("4711"))).toEqual([]);
});

describe("a prebuilt addon", () => {
  it("is taken without a compiler", async () => {
    await installAddon(torch, engine, {});
    const build = join(torch, "build");
    expect(faultOfLoading(join(build, "torch.node"))).toBeNull();
    expect(builtFor(build).prebuilt).toBe(true);
    expect(existsSync(join(build, "engine", "lib"))).toBe(true);
  });

  it("of the platform's own package goes before that of the package itself", async () => {
    const folder = join(torch, "node_modules", packageOf(platformHere));
    mkdirSync(folder, { recursive: true });
    for (const file of ["torch.node", "manifest.json"])
      renameSync(join(prebuiltFolder(torch), file), join(folder, file));
    writeFileSync(join(torch, "package.json"), "{}");
    writeFileSync(join(folder, "package.json"), JSON.stringify({ name: packageOf(platformHere) }));
    expect(prebuiltFolder(torch)).toBe(realpathSync(folder));
    await installAddon(torch, engine, {});
    expect(builtFor(join(torch, "build")).prebuilt).toBe(true);
  });

  it.each<[string, () => void, RegExp]>([
    ["of other sources", () => writeFileSync(join(torch, "native", "a.cc"), "int b;"), /it was made of other sources/],
    ["for another libtorch", () => describeAddon({ torch: "2.11.0" }), /it is for libtorch 2\.11\.0, not 2\./],
    ["for a newer C library", () => describeAddon({ glibc: "9.1" }), /it needs glibc 9\.1, and this system has 2\./],
    ["for a newer Node.js", () => describeAddon({ nodeApi: 99 }), /it needs Node-API 99, and this Node\.js has \d+/],
    ["whose bytes have changed", () => replaceAddon("other"), /torch\.node is damaged: its SHA-256 is another one/],
    ["without a manifest", () => rmSync(join(prebuiltFolder(torch), "manifest.json")), /it cannot be read: ENOENT/],
    [
      "that cannot be loaded",
      () => {
        replaceAddon("not a library");
        describeAddon({});
      },
      /torch\..*node: (file too short|invalid ELF header)/,
    ],
    [
      "that is missing",
      () => rmSync(prebuiltFolder(torch), { recursive: true }),
      /@rfdetr\/torch-\S+ is not installed: npm leaves it out with --omit=optional/,
    ],
  ])("%s is not: then it must be compiled", async (_, spoil, reason) => {
    spoil();
    const failure = await installAddon(torch, engine, {}).catch((error: Error) => error);
    expect(failure).toMatchObject({
      name: "SetupError",
      message: expect.stringMatching(/no C\+\+ compiler was found/),
    });
    expect((failure as Error).message).toMatch(reason);
    expect(existsSync(join(torch, "build", "torch.node"))).toBe(false);
  });

  it("is not taken by who wants to compile", async () => {
    await expect(installAddon(torch, engine, { noPrebuilt: true })).rejects.toThrow(/no C\+\+ compiler was found/);
  });
});

describe("loading an addon on trial", () => {
  it("survives one that ends its process", () => {
    const path = join(torch, "cut.node");
    const whole = readFileSync(join(own, "torch.node"));
    writeFileSync(path, whole.subarray(0, Math.floor(whole.length / 3)));
    expect(faultOfLoading(path)).toMatch(/SIGBUS|SIGSEGV|too short|cannot/);
  });
});
