import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { scratchBeside } from "../../support/files/scratch.js";
import { RunDirectory } from "./run-directory.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "run-"));
});

describe("RunDirectory", () => {
  it("is named as a shell reads it where an error says how to go on", () => {
    const path = join(folder, "two words");
    RunDirectory.create(path, "x").writeJson("config.json", {});
    expect(() => RunDirectory.create(path, "x")).toThrow(
      expect.objectContaining({ hint: expect.stringContaining(`\`resume\` '${path}', or`) }),
    );
  });

  it("is never made over an existing run", () => {
    const path = join(folder, "a");
    const run = RunDirectory.create(path, "x");
    run.writeJson("config.json", {});
    expect(() => RunDirectory.create(path, "x")).toThrow(
      expect.objectContaining({
        message: `The run folder ${path} exists and is not empty`,
        hint: expect.stringMatching(/^Continue it with `resume` .*a, or choose another folder with `output_dir`$/),
      }),
    );
  });

  it("may be an empty folder that exists", () => {
    expect(RunDirectory.create(folder, "x").path).toBe(folder);
  });

  it("cannot be a file, nor lie in one", () => {
    writeFileSync(join(folder, "f"), "");
    expect(() => RunDirectory.create(join(folder, "f"), "x")).toThrow("is a file");
    expect(() => RunDirectory.create(join(folder, "f", "g"), "x")).toThrow("is a file");
  });

  it.skipIf(process.getuid?.() === 0)("says when a folder is read-only (skipped for root, whom no mode stops)", () => {
    chmodSync(folder, 0o500);
    expect(() => RunDirectory.create(join(folder, "r"), "x")).toThrow("read-only");
  });

  it.skipIf(!existsSync("/proc/self"))("says when the system takes no folder there, and does not try for ever", () => {
    expect(() => RunDirectory.create("/proc/rfdetr/r", "x")).toThrow("takes no new files");
  });

  it("makes the folders above it", () => {
    expect(RunDirectory.create(join(folder, "a", "b", "c"), "x").path).toBe(join(folder, "a", "b", "c"));
  });

  it("goes with the folders above it where the run could not begin, except for those that were there", () => {
    RunDirectory.create(join(folder, "a", "b"), "x").giveUp();
    expect(existsSync(join(folder, "a"))).toBe(false);
    RunDirectory.create(folder, "x").giveUp();
    expect(readdirSync(folder)).toEqual([]);
    const run = RunDirectory.create(join(folder, "c"), "x");
    run.writeJson("config.json", {});
    run.giveUp();
    expect(readdirSync(run.path)).toEqual(["config.json"]);
  });

  it("is free if a run was killed there before it wrote its configuration", () => {
    mkdirSync(join(folder, "weights"));
    writeFileSync(join(folder, "lock"), "");
    writeFileSync(join(folder, "config.json.partial"), "{");
    writeFileSync(scratchBeside(join(folder, "config.json")), "{");
    RunDirectory.create(folder, "x").release();
  });

  it("belongs to one process, whose files no other touches", () => {
    const run = RunDirectory.create(join(folder, "a"), "x");
    run.writeJson("config.json", {});
    writeFileSync(run.file("checkpoint.partial"), "");
    expect(() => RunDirectory.open(run.path)).toThrow(/is in progress \(pid/);
    expect(existsSync(run.file("checkpoint.partial"))).toBe(true);
    run.release();
    RunDirectory.open(run.path).release();
    expect(existsSync(run.file("checkpoint.partial"))).toBe(false);
    expect(existsSync(run.file("lock"))).toBe(false);
  });

  it("is continued only where there is a run, and by its own name", () => {
    expect(() => RunDirectory.open(folder)).toThrow(
      expect.objectContaining({ hint: expect.stringContaining("start the run again") }),
    );
    writeFileSync(join(folder, "notes.txt"), "");
    expect(() => RunDirectory.open(folder)).toThrow("has no config.json");
    expect(() => RunDirectory.open(folder)).not.toThrow(expect.objectContaining({ hint: expect.anything() }));
    mkdirSync(join(folder, "birds"));
    expect(() => RunDirectory.open(join(folder, "birdz"))).toThrow(
      `${join(folder, "birdz")} does not exist: did you mean ${join(folder, "birds")}?`,
    );
    rmSync(join(folder, "birds"), { recursive: true });
    writeFileSync(join(folder, "config.json"), "{}");
    mkdirSync(join(folder, "checkpoint"));
    mkdirSync(join(folder, "weights"));
    writeFileSync(join(folder, "weights", "last.safetensors"), "");
    for (const part of ["checkpoint", "weights/last.safetensors"])
      expect(() => RunDirectory.open(join(folder, part))).toThrow(
        expect.objectContaining({
          message: expect.stringContaining("is a part of one"),
          hint: `Continue the run with \`resume\` ${folder}`,
        }),
      );
  });

  it.skipIf(!existsSync("/proc/self"))("is not continued where its checkpoint or weights cannot be written", () => {
    for (const part of ["checkpoint", "weights"]) {
      const path = join(folder, part);
      const run = RunDirectory.create(path, "x");
      run.writeJson("config.json", {});
      run.release();
      rmSync(join(path, part), { recursive: true, force: true });
      symlinkSync("/proc", join(path, part));
      expect(() => RunDirectory.open(path)).toThrow(
        `cannot be written in ${join(path, part)}: the system takes no new`,
      );
      expect(existsSync(join(path, "lock"))).toBe(false);
    }
  });

  it("without a checkpoint begins anew, unless weights say that there was one", () => {
    const run = RunDirectory.create(join(folder, "a"), "x");
    expect(run.hasCheckpoint()).toBe(false);
    writeFileSync(run.last, "");
    expect(() => run.hasCheckpoint()).toThrow(
      expect.objectContaining({ hint: `Start a new run from them with \`weights\` ${run.last}` }),
    );
    mkdirSync(`${run.checkpoint}.previous`);
    run.writeJson("config.json", {});
    run.release();
    expect(RunDirectory.open(run.path).hasCheckpoint()).toBe(true);
  });

  it("writes one header above the rows of a CSV file, and quotes what must be", () => {
    const run = RunDirectory.create(join(folder, "a"), "x");
    run.appendRow("m.csv", { epoch: 1, ap: 0.123456789, note: 'a, "b"' });
    run.appendRow("m.csv", { epoch: 2, ap: null, note: "" });
    expect(readFileSync(run.file("m.csv"), "utf8")).toBe('epoch,ap,note\n1,0.1234568,"a, ""b"""\n2,,\n');
  });

  it("drops lines that a resumed run writes again, and one that was cut off", () => {
    const run = RunDirectory.create(join(folder, "a"), "x");
    for (const step of [1, 2, 3]) run.append("n.jsonl", `{"step":${step}}\n`);
    run.append("n.jsonl", '{"st');
    expect(run.keepLines("n.jsonl", (line) => (JSON.parse(line ?? "").step <= 2 ? "keep" : "drop"))).toBe(0);
    expect(readFileSync(run.file("n.jsonl"), "utf8")).toBe('{"step":1}\n{"step":2}\n');
    expect(run.keepLines("n.jsonl", (_, index) => (index === 0 ? "damaged" : "keep"))).toBe(1);
    expect(readFileSync(run.file("n.jsonl"), "utf8")).toBe('{"step":2}\n');
  });

  it("keeps the lines of a file that another program saved in its way", () => {
    const run = RunDirectory.create(join(folder, "a"), "x");
    run.append("m.csv", "\ufeffepoch,ap\r\n1,0.5\r\n2,0.6\r\n");
    const lines: (string | null)[] = [];
    expect(
      run.keepLines("m.csv", (line) => {
        lines.push(line);
        return "keep";
      }),
    ).toBe(0);
    expect(lines).toEqual(["epoch,ap", "1,0.5", "2,0.6"]);
    run.appendRow("m.csv", { epoch: 3, ap: 0.7, ar: 0.8 });
    expect(readFileSync(run.file("m.csv"), "utf8")).toBe("epoch,ap,ar\n1,0.5,\n2,0.6,\n3,0.7,0.8\n");
  });
});
