import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { chosenLibtorch, forgetLibtorch, rememberedLibtorch, rememberLibtorch } from "./chosen.mjs";
import { inspect, resolveEngine } from "./engine.mjs";
import { faultOfSystem, fetchEngine, neededOnCpu } from "./fetch-engine.mjs";
import { isWanted } from "./install.mjs";
import { machineOf, platformFits } from "./machine.mjs";
import { SetupError } from "./report.mjs";

const saved = { ...process.env };
let folder: string;
/** Neither Python nor the cache has one. */
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "engine-"));
  Object.assign(process.env, { LIBTORCH: "", RFDETR_HOME: join(folder, "home"), PYTHON: "/bin/false", PATH: "" });
});
afterEach(() => {
  process.env = { ...saved };
  rmSync(folder, { recursive: true });
});

/** A folder that looks like a libtorch. */
function make(name: string, version = [2, 15, 0]): string {
  const root = join(folder, name);
  mkdirSync(join(root, "lib"), { recursive: true });
  mkdirSync(join(root, "include/torch/headeronly"), { recursive: true });
  writeFileSync(join(root, "lib/libtorch_cpu.so"), "");
  writeFileSync(
    join(root, "include/torch/headeronly/version.h"),
    ["MAJOR", "MINOR", "PATCH"].map((part, i) => `#define TORCH_VERSION_${part} ${version[i]}`).join("\n"),
  );
  return root;
}

describe.runIf(existsSync("/dev/full"))("a disk that is full while libtorch is downloaded", () => {
  const file = "torch-2.15.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl";
  const hash = "0123456789abcdef".repeat(4);

  /** What is said of it, without the advice, and what it leaves behind. */
  async function fault(): Promise<{ said: string; left: string[] }> {
    const home = join(folder, "home");
    const error = await fetchEngine(join(home, "libtorch"), false, [], "linux-x64", () => {}).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(SetupError);
    expect(error.message).toContain("1. free some space there");
    expect(error.message).not.toContain("check the network");
    return { said: error.problem, left: readdirSync(home) };
  }

  it("is named, and nothing is left on it: from an index", async () => {
    const server = createServer(({ url }, response) =>
      url === "/torch/" ? response.end(`<a href="/${file}#sha256=${hash}">${file}</a>`) : response.end("a wheel"),
    ).listen(0, "127.0.0.1");
    await once(server, "listening");
    process.env.RFDETR_WHEEL_INDEX = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const downloads = join(folder, "home", "downloads");
    mkdirSync(downloads, { recursive: true });
    // What is written there finds no room.
    symlinkSync("/dev/full", join(downloads, `${file}.${hash.slice(0, 16)}.part`));
    const said = `libtorch could not be written to ${join(folder, "home")}: the disk is full`;
    expect(await fault()).toEqual({ said, left: [] });
    server.close();
  });

  it("is named, and nothing is left on it: through pip", async () => {
    const python = join(folder, "python");
    const says = 'echo "OSError: [Errno 28] No space left on device" >&2; exit 1';
    writeFileSync(python, `#!/bin/sh\ncase "$*" in *--version*) exit 0;; esac\n${says}\n`, { mode: 0o755 });
    Object.assign(process.env, { PYTHON: python, RFDETR_WHEEL_INDEX: "http://127.0.0.1:9" });
    const said = `libtorch could not be written to ${join(folder, "home")}: the disk is full`;
    expect(await fault()).toEqual({ said, left: [] });
  });
});

describe("resolution of libtorch", () => {
  it("takes LIBTORCH first, as libtorch folder or as site-packages", async () => {
    process.env.LIBTORCH = make("libtorch-a");
    expect(await resolveEngine({ fetch: false })).toMatchObject({ source: "LIBTORCH", version: "2.15.0", cuda: false });
    make("site-packages/torch");
    process.env.LIBTORCH = join(folder, "site-packages");
    expect((await resolveEngine({ fetch: false })).root).toMatch(/site-packages.torch$/);
  });
  it("says why LIBTORCH is none", async () => {
    process.env.LIBTORCH = join(folder, "nowhere");
    await expect(resolveEngine({ fetch: false })).rejects.toThrow(
      /LIBTORCH names .*nowhere.*\n[\s\S]*has no include\/torch[\s\S]*1\. /,
    );
    expect(inspect(make("old", [2, 4, 1]), "LIBTORCH")).toMatch(/torch 2\.4\.1, older than 2\.11/);
  });
  it("pins every wheel of NVIDIA by version and hash", () => {
    const all = JSON.parse(readFileSync(new URL("./cuda-wheels.json", import.meta.url), "utf8"));
    for (const [platform, arch] of [
      ["linux-x64", "x86_64"],
      ["linux-arm64", "aarch64"],
    ])
      for (const { requirement, platforms, bytes, sha256 } of all[platform]) {
        expect(requirement).toMatch(/^nvidia-[\w-]+==\d[\d.]+$/);
        expect(platforms.every((name: string) => name.endsWith(`_${arch}`))).toBe(true);
        expect(bytes).toBeGreaterThan(1e4);
        expect(sha256).toMatch(/^[0-9a-f]{64}$/);
      }
    const names = all["linux-x64"].map(({ requirement }: { requirement: string }) => requirement.split("==")[0]);
    for (const library of ["cublas", "cudnn-cu13", "nccl-cu13", "cusparse", "cusolver", "cufft", "nvjitlink"])
      expect(names).toContain(`nvidia-${library}`);
  });
  it("then the cache, and never a folder that was left half-written", async () => {
    const half = join(folder, "home/libtorch-2.15.0-cpu.partial/torch");
    mkdirSync(join(half, "include/torch"), { recursive: true });
    const failure = await resolveEngine({ fetch: false }).catch((error: Error) => error);
    expect(failure).toBeInstanceOf(SetupError);
    expect((failure as Error).message).toMatch(/the active Python: no torch installed[\s\S]*cache: .* does not exist/);
    make("home/libtorch-2.15.0-cpu/torch");
    expect(await resolveEngine({ fetch: false })).toMatchObject({ source: "cache" });
  });
  it("reports everything that was tried when neither the index nor a Python answers", async () => {
    process.env.RFDETR_WHEEL_INDEX = "http://127.0.0.1:9";
    await expect(resolveEngine()).rejects.toThrow(
      /libtorch could not be downloaded[\s\S]*Tried:[\s\S]*LIBTORCH: not set[\s\S]*index of wheels: 127\.0\.0\.1:9: [\s\S]*runs pip[\s\S]*What to do[\s\S]*RFDETR_WHEEL_INDEX/,
    );
  });
});

describe("a system without a libtorch to download", () => {
  it("is told in one sentence, before a compiler is asked for and anything is fetched", async () => {
    expect(faultOfSystem(false, "linux-x64", "2.36")).toBeNull();
    expect(faultOfSystem(false, "linux-x64", "")).toEqual({
      problem: "libtorch needs glibc, and this system has another C library, such as musl in Alpine",
      remedy: "use a system or a container image with glibc, such as Debian, Ubuntu or node:22-bookworm-slim",
    });
    expect(faultOfSystem(false, "darwin-arm64", "")).toBeNull();
    expect(faultOfSystem(true, "darwin-arm64", "")?.problem).toBe("There is no libtorch with CUDA for darwin-arm64");
    const beforeDownload = () => {
      throw new Error("no compiler");
    };
    await expect(resolveEngine({ platform: "win32-x64", beforeDownload })).rejects.toThrow(
      /^There is no wheel of torch 2\.15\.0 for win32-x64\n/,
    );
    process.env.RFDETR_WHEEL_INDEX = "http://127.0.0.1:9";
    await expect(resolveEngine({ beforeDownload })).rejects.toThrow(/^no compiler$/);
  });
});

describe("torch's wheel for macOS", () => {
  it("gives what the addon links against, and what that loads", () => {
    const libraries = [
      "libtorch_python",
      "libtorch",
      "libtorch_global_deps",
      "libomp",
      "libtorch_cpu",
      "libc10",
      "libshm",
    ];
    expect(libraries.filter((name) => neededOnCpu(`torch/lib/${name}.dylib`))).toEqual([
      "libtorch",
      "libomp",
      "libtorch_cpu",
      "libc10",
    ]);
    for (const name of ["torch/include/ATen/ATen.h", "torch/version.py"]) expect(neededOnCpu(name)).toBe(true);
    expect(neededOnCpu("torch/bin/protoc")).toBe(false);
  });

  it("is a libtorch, found for another machine by its own tag", () => {
    const root = make("mac");
    rmSync(join(root, "lib/libtorch_cpu.so"));
    writeFileSync(join(root, "lib/libtorch_cpu.dylib"), "");
    expect(inspect(root, "cache")).toMatchObject({ version: "2.15.0", cuda: false });
    expect(platformFits("macosx_14_0_arm64", machineOf("darwin-arm64"))).toBe(true);
    expect(platformFits("manylinux_2_28_aarch64", machineOf("darwin-arm64"))).toBe(false);
  });
});

describe("a libtorch that was chosen", () => {
  it("is used by later commands, until another is named or it is forgotten", async () => {
    const [first, second] = [make("first"), make("second")];
    rememberLibtorch(first);
    expect(await resolveEngine({ fetch: false })).toMatchObject({ root: first, source: "remembered" });
    process.env.LIBTORCH = second;
    expect(await resolveEngine({ fetch: false })).toMatchObject({ root: second, source: "LIBTORCH" });
    process.env.LIBTORCH = "";
    forgetLibtorch(undefined, false);
    expect(chosenLibtorch()).toBe(first);
    forgetLibtorch("auto", false);
    expect(chosenLibtorch()).toBe("");
    await expect(resolveEngine({ fetch: false })).rejects.toThrow("libtorch is not there yet");
  });

  it("serves another user who asks for none, and nobody who asks for another", () => {
    const [first, second] = [make("first"), make("second")];
    const built = { root: first, source: "LIBTORCH", cuda: false, prebuilt: false } as const;
    expect(isWanted(built, {})).toBe(true);
    expect(isWanted(built, { cuda: true })).toBe(false);
    expect(isWanted(built, { libtorch: "auto" })).toBe(false);
    expect(isWanted(built, { libtorch: second })).toBe(false);
    expect(isWanted({ ...built, prebuilt: true }, { noPrebuilt: true })).toBe(false);
    rememberLibtorch(second);
    expect(isWanted(built, {})).toBe(false);
    process.env.LIBTORCH = first;
    expect(isWanted(built, {})).toBe(true);
    rmSync(first, { recursive: true });
    expect(isWanted(built, {})).toBe(false);
  });

  it("and is gone ends in one sentence that names it, with the ways on", async () => {
    const root = make("gone");
    rememberLibtorch(root);
    rmSync(root, { recursive: true });
    await expect(resolveEngine({ fetch: false })).rejects.toThrow(
      `The libtorch that was chosen before cannot be used any more: ${root} has no include/torch\n\n` +
        "What to do (any one):\n  1. forget it: rfdetr setup --libtorch auto\n  2. choose another: rfdetr setup --libtorch DIR",
    );
  });

  it("is not taken from a damaged file, and a folder that cannot be written is no fault", () => {
    mkdirSync(join(folder, "home"), { recursive: true });
    writeFileSync(join(folder, "home", "libtorch.json"), "{cut");
    expect(rememberedLibtorch()).toBe("");
    process.env.RFDETR_HOME = join(folder, "home", "libtorch.json");
    expect(() => rememberLibtorch("/opt/libtorch")).not.toThrow();
  });
});
