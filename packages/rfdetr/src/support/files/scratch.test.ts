import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { scratchBeside, scratchFolder, scratchPath, whileScratch } from "./scratch.js";
import { shortName } from "./short-name.js";

const home = mkdtempSync(join(tmpdir(), "scratch-"));

describe("scratchPath", () => {
  const own = basename(scratchPath(join(home, "birds")));
  const [, pid, host, identity] = own.slice("birds.partial".length).split("-");
  /** A name as another process would give it. */
  const called = (changes: { pid?: string; host?: string; identity?: string }): string => {
    const parts = { pid, host, identity, ...changes };
    return `gathered.partial-${parts.pid}-${parts.host}-${parts.identity}-00000000`;
  };
  const ended = spawnSync(process.execPath, ["-p", "process.pid"], { encoding: "utf8" }).stdout.trim();

  it("removes what processes left that are gone, and nothing of living ones, of other machines or of the user", () => {
    const folder = join(home, "leftovers");
    mkdirSync(folder);
    const left = [called({ pid: ended }), called({ identity: "0badcafe" }), called({ host: "00000001" })];
    const kept = [called({}), called({ host: "00000002" }), "gathered.partial-mine", own];
    for (const name of [...left, ...kept]) mkdirSync(join(folder, name));
    writeFileSync(join(folder, left[0], "a.jpg"), "");
    const before = new Date(Date.now() - 8 * 24 * 3600 * 1000);
    utimesSync(join(folder, left[2]), before, before);
    const path = scratchPath(join(folder, "gathered"));
    expect(existsSync(path)).toBe(false);
    expect(readdirSync(folder).sort()).toEqual([...kept].sort());
  });

  it("is refused in a sentence where there is no folder for it", () => {
    vi.stubEnv("TMPDIR", join(home, "none"));
    expect(() => scratchFolder("test")).toThrow(
      `No temporary folder can be made in ${join(home, "none")}: there is no such folder`,
    );
    vi.unstubAllEnvs();
  });

  it("is another one each time, and short beside a file of any name", () => {
    const names = [1, 2].map(() => basename(scratchBeside(join(home, `${"x".repeat(250)}.jpg`))));
    expect(new Set(names).size).toBe(2);
    expect(names[0].length).toBeLessThan(60);
    const folder = scratchFolder("test");
    expect(basename(folder)).toMatch(/^rfdetr-test\.partial-/);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe("whileScratch", () => {
  it("removes what is left of the folder at the end, also after a failure, and leaves what was moved out of it", () => {
    const folder = join(home, "while");
    mkdirSync(folder);
    const write = (path: string): void => writeFileSync(join(path, "a"), "");
    whileScratch(scratchPath(join(folder, "kept")), (path) => {
      write(path);
      renameSync(path, join(folder, "kept"));
    });
    const fail = (path: string): never => {
      write(path);
      throw new Error("the disk is full");
    };
    expect(() => whileScratch(scratchPath(join(folder, "failed")), fail)).toThrow("the disk is full");
    expect(() => whileScratch(join(folder, "none", "x"), write)).toThrow("ENOENT");
    expect(readdirSync(folder)).toEqual(["kept"]);
  });
});

describe("shortName", () => {
  it("keeps what fits, and cuts the rest so that it stays different", () => {
    expect(shortName("heron.jpg")).toBe("heron.jpg");
    const [one, other] = ["a", "b"].map((end) => shortName("🦆".repeat(80) + end));
    expect(one).toMatch(/^(🦆){61}-[0-9a-f]{8}$/u);
    expect(Buffer.byteLength(one)).toBe(253);
    expect(other).not.toBe(one);
  });
});
