import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { locked } from "./lock.mjs";
import { look } from "./preflight.mjs";
import { pythonTorch, pythonWithPip } from "./python.mjs";
import { explained, SetupError } from "./report.mjs";
import { contentPrint, fingerprint, Stamps } from "./stamp.mjs";
import { checkHash, downloadWheel, parseRecord, unpackWheel } from "./wheel.mjs";
import { openEntry, readDirectory } from "./zip.mjs";

const folder = mkdtempSync(join(tmpdir(), "setup-"));
afterAll(() => rmSync(folder, { recursive: true }));
const saved = { ...process.env };
afterEach(() => {
  process.env = { ...saved };
});

/** A zip archive of the given files, every other one compressed. */
function zip(path: string, files: Record<string, string | Buffer>): string {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  Object.entries(files).forEach(([name, content], i) => {
    const raw = Buffer.from(content);
    const data = i % 2 ? deflateRawSync(raw) : raw;
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(i % 2 ? 8 : 0, 8);
    local.writeUInt16LE(Buffer.byteLength(name), 26);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(i % 2 ? 8 : 0, 10);
    central.writeUInt32LE(data.length, 20);
    central.writeUInt32LE(raw.length, 24);
    central.writeUInt16LE(Buffer.byteLength(name), 28);
    central.writeUInt32LE(offset, 42);
    parts.push(local, Buffer.from(name), data);
    directory.push(central, Buffer.from(name));
    offset += 30 + Buffer.byteLength(name) + data.length;
  });
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Object.keys(files).length, 10);
  end.writeUInt32LE(Buffer.concat(directory).length, 12);
  end.writeUInt32LE(offset, 16);
  writeFileSync(path, Buffer.concat([...parts, ...directory, end]));
  return path;
}

const record = (files: Record<string, string>): string =>
  Object.entries(files)
    .map(([name, text]) => `${name},sha256=${createHash("sha256").update(text).digest("base64url")},${text.length}`)
    .join("\n");
const files = {
  "torch/lib/libtorch_cpu.so": "library".repeat(1000),
  "torch/include/a.h": "header",
  "torch/bin/protoc": "not needed",
};
const wheel = (name: string, change: Record<string, string> = {}): string =>
  zip(join(folder, name), {
    ...files,
    ...change,
    "torch-1.dist-info/RECORD": `${record(files)}\ntorch-1.dist-info/RECORD,,`,
  });

describe("zip reader", () => {
  it("reads stored and compressed entries", async () => {
    const path = wheel("a.whl");
    for (const entry of await readDirectory(path)) {
      const chunks: Buffer[] = [];
      for await (const chunk of await openEntry(path, entry)) chunks.push(chunk as Buffer);
      expect(Buffer.concat(chunks).length).toBe(entry.size);
    }
  });
  it("takes no half archive for a whole one", async () => {
    const path = wheel("half.whl");
    const whole = readFileSync(path);
    for (const part of [0.2, 0.6, 0.99]) {
      writeFileSync(path, whole.subarray(0, Math.floor(whole.length * part)));
      await expect(readDirectory(path)).rejects.toThrow(/not a whole zip archive/);
    }
  });
});

describe("wheels", () => {
  it("unpack only what is wanted, checked against RECORD", async () => {
    const target = join(folder, "out");
    await unpackWheel(wheel("b.whl"), target, (name: string) => !name.includes("/bin/"), "test");
    expect(readFileSync(join(target, "torch/lib/libtorch_cpu.so"), "utf8")).toBe(files["torch/lib/libtorch_cpu.so"]);
    expect(existsSync(join(target, "torch/bin/protoc"))).toBe(false);
  });
  it("name the file whose bytes are wrong", async () => {
    await expect(
      unpackWheel(wheel("c.whl", { "torch/include/a.h": "Header" }), join(folder, "out2"), () => true, "test"),
    ).rejects.toThrow(/torch\/include\/a\.h in .* is damaged/);
  });
  it("are used only if they are the published ones", async () => {
    const path = wheel("d.whl");
    const published = createHash("sha256").update(readFileSync(path)).digest("hex");
    await expect(checkHash(path, published)).resolves.toBeUndefined();
    writeFileSync(path, "another wheel, with a RECORD of its own");
    await expect(checkHash(path, published)).rejects.toThrow(/d\.whl is not the published wheel: its SHA-256 is/);
  });
  it("read hashes from RECORD", () => {
    expect(parseRecord("a/b.so,sha256=AAEC,3\nx/RECORD,,\n").get("a/b.so")).toBe("000102");
  });
});

describe("Python", () => {
  const before = process.cwd();
  afterEach(() => process.chdir(before));

  it("takes nothing from the current folder or PYTHONPATH", async () => {
    const hostile = join(folder, "hostile");
    for (const part of ["torch/lib", "torch/include/torch"]) mkdirSync(join(hostile, part), { recursive: true });
    writeFileSync(join(hostile, "torch/__init__.py"), "");
    const proof = join(hostile, "executed");
    for (const name of ["pip.py", "site.py", "importlib.py", "runpy.py", "sitecustomize.py"])
      writeFileSync(join(hostile, name), `open(${JSON.stringify(proof)}, "w")\nraise SystemExit(0)\n`);
    process.env.PYTHONPATH = hostile;
    process.chdir(hostile);
    expect(pythonTorch() ?? "").not.toContain(hostile);
    const python = pythonWithPip();
    if (python !== null)
      await expect(
        downloadWheel({
          python,
          requirement: "no-such-wheel==1",
          platforms: ["any"],
          folder: join(folder, "wheels"),
          label: "test",
          bytes: 1,
          extra: ["--no-index"],
        }),
      ).rejects.toThrow(/no-such-wheel/);
    expect(existsSync(proof)).toBe(false);
  });
});

describe("the look at what is there", () => {
  it("tells what is missing from what was made of other sources", async () => {
    const root = join(folder, "checkout");
    const addon = join(root, "packages/torch/build/torch.node");
    for (const part of ["node_modules/typescript", "packages/torch/build/torch.node"])
      mkdirSync(join(root, part), { recursive: true });
    const checks = await look(root, { npm: true, addon: false, build: false }, "", { addon, fault: "" });
    const of = (name: string) => checks.find((check) => check.name === name);
    expect(of("npm packages")).toEqual({ name: "npm packages", ok: true, found: "installed" });
    expect(of("addon")).toEqual({
      name: "addon",
      ok: false,
      stale: true,
      found: "built before the last change of what it is made from",
      remedy: "run npm run setup",
    });
    expect(of("TypeScript build")).toMatchObject({ ok: false, found: "not built" });
    expect(of("TypeScript build")).not.toHaveProperty("stale");
  });

  it("tells a prebuilt addon that waits from one that does not serve, and from none", async () => {
    const done = { npm: true, addon: false, build: true };
    const found = async (addon: string, fault: string | null) => {
      const checks = await look(folder, done, "", { addon, fault });
      return checks.find(({ name }) => name === "addon");
    };
    const none = join(folder, "no-addon.node");
    expect(await found(none, null)).toEqual({
      name: "addon",
      ok: false,
      prebuilt: true,
      found: "prebuilt, and not in its place yet: nothing is compiled",
      remedy: "run npm run setup",
    });
    const other = await found(none, "it was made of other sources");
    expect(other?.found).toBe("not built, and the prebuilt one does not serve: it was made of other sources");
    expect(other).not.toHaveProperty("prebuilt");
    expect((await found(none, ""))?.found).toBe("not built");
    const there = join(folder, "old-addon.node");
    writeFileSync(there, "");
    expect(await found(there, null)).toMatchObject({ ok: false, stale: true });
    expect(await found(there, null)).not.toHaveProperty("prebuilt");
  });
});

describe("a fault of the disk", () => {
  it("is told in one sentence, with what to do; another fault keeps its stack", () => {
    const fault = Object.assign(new Error("EACCES: mkdir"), { code: "EACCES", path: "/opt/app/.cache" });
    expect(explained(fault, "/opt")).toBeInstanceOf(SetupError);
    expect(explained(fault, "/opt").problem).toBe("/opt/app/.cache could not be written: permission denied");
    const other = new TypeError("x is not a function");
    expect(explained(other, "/opt")).toBe(other);
  });
});

describe("stamps and lock", () => {
  it("see a changed file, and survive a broken stamp file", () => {
    const file = join(folder, "x.txt");
    writeFileSync(file, "1");
    const before = fingerprint([file]);
    expect(fingerprint([file])).toBe(before);
    writeFileSync(file, "22");
    expect(fingerprint([file])).not.toBe(before);
    const content = contentPrint([file], "x");
    utimesSync(file, 0, 0);
    expect(contentPrint([file], "x")).toBe(content);
    writeFileSync(file, "33");
    expect(contentPrint([file], "x")).not.toBe(content);
    const path = join(folder, "stamps.json");
    new Stamps(path).set("a", "1");
    expect(new Stamps(path).fits("a", "1", file)).toBe(true);
    expect(new Stamps(path).fits("a", "1", join(folder, "gone"))).toBe(false);
    writeFileSync(path, "{cut");
    expect(new Stamps(path).fits("a", "1")).toBe(false);
  });
  it("run one at a time; the lock of a dead process does not count", async () => {
    const file = join(folder, "lock");
    const dead = execFileSync(process.execPath, ["-e", "console.log(process.pid)"], { encoding: "utf8" }).trim();
    writeFileSync(file, dead);
    const order: string[] = [];
    await Promise.all(
      ["a", "b"].map((name) =>
        locked(file, async () => {
          order.push(`${name} in`);
          await new Promise((resolve) => setTimeout(resolve, 20));
          order.push(`${name} out`);
        }),
      ),
    );
    expect([order[0][0], order[2][0]].sort()).toEqual(["a", "b"]);
    expect(order[1]).toBe(`${order[0][0]} out`);
    expect(readdirSync(folder)).not.toContain("lock");
  });
  it.each([
    ["of a process that was killed while it wrote it", ""],
    ["that is damaged", "\0\0\0"],
    ["of a process whose id another one has now", `${process.ppid} another-boot-1`],
    ["of an earlier process with the id of this one", String(process.pid)],
  ])("do not count a lock %s", async (_, content) => {
    const file = join(folder, "stale");
    writeFileSync(file, content);
    utimesSync(file, 0, 0);
    expect(await locked(file, async () => "done")).toBe("done");
    expect(existsSync(file)).toBe(false);
  });
});
