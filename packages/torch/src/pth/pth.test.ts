import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { PickledName, PickledObject, type PickledTensor, PthError, PthFile, UnsafePickleError } from "./index.js";
import { unpickle } from "./unpickle.js";

const small = fileURLToPath(new URL("./fixtures/small.pth", import.meta.url));
const legacy = fileURLToPath(new URL("./fixtures/legacy.pth", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "pth-"));
afterAll(() => rmSync(folder, { recursive: true }));

type Content = Map<string, Map<string, PickledTensor>>;

describe("checkpoints of torch", () => {
  const file = new PthFile(small);
  afterAll(() => file.close());
  const content = file.content as Content;
  const model = content.get("model") as Map<string, PickledTensor>;
  const read = (name: string): unknown => file.read(name, model.get(name) as PickledTensor).toList();

  it("hold tensors, views of tensors, scalars, empty ones and parameters", () => {
    const rows = Array.from({ length: 4 }, (_, r) => Array.from({ length: 6 }, (_, c) => r * 6 + c));
    expect(read("base")).toEqual(rows);
    expect(read("transposed")).toEqual(rows[0].map((_, c) => rows.map((row) => row[c])));
    expect(read("slice")).toEqual([
      [8, 9, 10],
      [14, 15, 16],
    ]);
    expect(read("expanded")).toEqual([
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
    expect(read("scalar")).toBe(2.5);
    expect(read("empty")).toEqual([]);
    expect(read("parameter")).toEqual(rows[0]);
  });

  it("hold every dtype", () => {
    for (const [dtype, stored] of content.get("dtypes") as Map<string, PickledTensor>) {
      const tensor = file.read(dtype, stored);
      expect([tensor.dtype, tensor.toList()]).toEqual([dtype, [1, 0, 1]]);
    }
  });

  it("hold plain data and namespaces", () => {
    const args = content.get("args") as unknown as PickledObject;
    expect(args).toBeInstanceOf(PickledObject);
    expect(args.attributes.get("lr")).toBe(1e-4);
    expect(args.attributes.get("name")).toBe("näme");
    expect(args.attributes.get("flags")).toEqual([true, false, null]);
    expect((args.attributes.get("nested") as Map<string, unknown>).get("a")).toEqual([
      1,
      -2,
      3.5,
      2 ** 40,
      -(2n ** 70n),
    ]);
    expect(content.get("size")).toEqual([1, 2]);
    expect(content.get("dtype")).toEqual(new PickledName("torch.float16"));
    expect(content.get("set")).toEqual(new Set([1, 2]));
  });

  it("that place a tensor outside of its storage are refused by its name", () => {
    const base = model.get("base") as PickledTensor;
    expect(() => file.read("x", { ...base, shape: [5, 6] })).toThrow(
      /places x of shape 5×6 outside of its storage of 24/,
    );
    expect(() => file.read("x", { ...base, offset: -1 })).toThrow(/outside/);
    expect(() => file.read("x", { ...base, strides: [-6, 1] })).toThrow(/outside/);
    expect(() => file.read("x", { ...base, shape: [2 ** 40, 6], strides: [0, 0] })).toThrow(/outside/);
    // 100,000 elements of a storage of 24: 300 KB of such tensors would fill any memory.
    expect(() => file.read("x", { ...base, shape: [100_000], strides: [0] })).toThrow(/outside/);
    expect(() => file.read("x", { ...base, storage: { ...base.storage, elements: 1e12 } })).toThrow(
      /a storage of 1000000000000 elements that the archive does not have/,
    );
    expect(() => file.read("x", { ...base, storage: { ...base.storage, key: "../data.pkl" } })).toThrow(PthError);
  });
});

describe("checkpoints of torch before 1.6", () => {
  const file = new PthFile(legacy);
  afterAll(() => file.close());
  const content = file.content as Content;
  const model = content.get("model") as Map<string, PickledTensor>;
  const read = (name: string): unknown => file.read(name, model.get(name) as PickledTensor).toList();

  it("hold tensors, views of tensors and plain data", () => {
    const rows = Array.from({ length: 4 }, (_, r) => Array.from({ length: 6 }, (_, c) => r * 6 + c));
    expect(read("base")).toEqual(rows);
    expect(read("transposed")).toEqual(rows[0].map((_, c) => rows.map((row) => row[c])));
    expect(read("slice")).toEqual([
      [8, 9, 10],
      [14, 15, 16],
    ]);
    expect(read("half")).toEqual([1.5, -2]);
    expect(read("counts")).toEqual([1, 2, 3]);
    expect(content.get("epoch")).toBe(3);
    expect((content.get("args") as unknown as PickledObject).attributes.get("class_names")).toEqual(["a", "b"]);
  });

  it("that are cut off are refused", () => {
    const whole = readFileSync(legacy);
    const path = join(folder, "cut.pth");
    for (const length of [1, 20, whole.length >> 1, whole.length - 1]) {
      writeFileSync(path, whole.subarray(0, length));
      expect(() => new PthFile(path), String(length)).toThrow(PthError);
    }
  });
});

describe("files that are no checkpoints", () => {
  it.each([
    ["a web page", "<!DOCTYPE html><html><body>Sign in</body></html>", /is a web page/],
    ["a pointer of Git LFS", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", /Git LFS/],
    ["nothing", "", /is empty/],
  ])("%s is named", (_, content, message) => {
    const path = join(folder, "stub.pth");
    writeFileSync(path, content);
    expect(() => new PthFile(path)).toThrow(message);
  });

  it("a device is refused before it is opened", () => {
    expect(() => new PthFile("/dev/zero")).toThrow(/is not a file/);
  });
});

describe("hostile files", () => {
  const pickle = (...parts: (string | number[])[]): Buffer =>
    Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : Buffer.from(part))));
  it.each([
    ["os.system", pickle("\x80\x02cposix\nsystem\n(X\x04\x00\x00\x00true\x85R."), "posix.system"],
    ["eval", pickle("\x80\x02c__builtin__\neval\n(X\x01\x00\x00\x001tR."), "__builtin__.eval"],
    ["a name by STACK_GLOBAL", pickle("\x80\x04\x8c\x02os\x8c\x05popen\x93."), "os.popen"],
    ["an attribute of an allowed module", pickle("\x80\x02ctorch\nload\n."), "torch.load"],
  ])("that want %s are refused by that name, and nothing runs", (_, bytes, global) => {
    expect(() => unpickle(bytes, "x.pth")).toThrow(UnsafePickleError);
    expect(() => unpickle(bytes, "x.pth")).toThrow(global);
  });

  it.each([
    ["an endless text", pickle("\x80\x02X\xff\xff\xff\x7fabc")],
    ["an empty stack", pickle("\x80\x02R.")],
    ["an unknown reference", pickle("\x80\x02h\x09.")],
    ["a loop of nothing", pickle("\x80\x02")],
    ["an instance by the old protocol", pickle("(iposix\nsystem\np0\n.")],
    ["a call of a dict", pickle("\x80\x02})R.")],
    ["a mark as its value", pickle("\x80\x02(.")],
    ["millions of memories", pickle("\x80\x04}", "\x94".repeat(2.1e6), ".")],
    ["millions of dicts", pickle("\x80\x02]", "}a".repeat(1.1e6), ".")],
    [
      "a path of lists that double",
      pickle("\x80\x02cpathlib\nPosixPath\n](X\x01\x00\x00\x00x", "2\x86".repeat(60), "e\x85R."),
    ],
  ])("with %s are called broken", (_, bytes) => {
    expect(() => unpickle(bytes, "x.pth")).toThrow(PthError);
  });

  it.each([
    ["of today's format", small],
    ["of the older format", legacy],
  ])("%s, cut off or changed anywhere, give an error or a value, never a crash or a hang", (_, source) => {
    const whole = readFileSync(source);
    const path = join(folder, "x.pth");
    let state = 7;
    const random = (n: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
      return (state >>> 8) % n;
    };
    let refused = 0;
    for (let i = 0; i < 6000; i++) {
      const bytes = Buffer.from(i % 3 === 0 ? whole.subarray(0, random(whole.length)) : whole);
      for (let k = 0; i % 3 !== 0 && k < 1 + (i % 4); k++) bytes[random(bytes.length)] = random(256);
      writeFileSync(path, bytes);
      try {
        const file = new PthFile(path);
        try {
          const model = (file.content as Content).get?.("model");
          for (const [name, stored] of model ?? []) file.read(String(name), stored).dispose();
        } finally {
          file.close();
        }
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(1500);
  });
});
