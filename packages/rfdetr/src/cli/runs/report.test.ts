import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { readRun } from "../../report/records/run-record.js";
import { repeatWords } from "../../report/sections/repeat.js";
import { resolveSettings, toFile } from "../../settings/resolve.js";
import { reportRun } from "../../testing/runs/report-run.js";
import { buildProgram } from "../program.js";
import { type SettingFlags, settingsOf } from "../train/setting-flags.js";

const root = mkdtempSync(join(tmpdir(), "report-command-"));
afterAll(() => rmSync(root, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

async function rfdetr(...words: string[]): Promise<string> {
  let out = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += text;
    return true;
  });
  await buildProgram(() => {}).parseAsync(words, { from: "user" });
  return out;
}

describe("rfdetr report", () => {
  const run = reportRun(join(root, "run"));

  it("writes the report and says where", async () => {
    expect(await rfdetr("report", run)).toMatch(/^report .*run\/report\.html \([\d.]+ KiB\): open it in a browser\n$/);
    expect(readFileSync(join(run, "report.html"), "utf8")).toContain("<!doctype html>");
  });

  it("prints its figures as JSON", async () => {
    const out = join(root, "comparison.html");
    const other = reportRun(join(root, "other"), { precision: "bf16-mixed" });
    expect(JSON.parse(await rfdetr("report", run, other, "--out", out, "--json"))).toMatchObject({
      out,
      runs: [{ precision: "16-mixed" }, { precision: "bf16-mixed" }],
      settings: { precision: ["16-mixed", "bf16-mixed"] },
    });
  });

  it("refuses a folder that is no run", async () => {
    await expect(rfdetr("report", root)).rejects.toThrow("has none of config.json");
  });
});

describe("the command that a report gives", () => {
  /** What the parser makes of the words. */
  function settingsFrom(words: readonly string[]): Record<string, unknown> {
    const program = buildProgram(() => {});
    const train = program.commands.find((command) => command.name() === "train");
    let flags: SettingFlags | null = null;
    train?.action((given: SettingFlags) => {
      flags = given;
    });
    program.parse(words.slice(2), { from: "user" });
    return toFile(resolveSettings(settingsOf(flags as unknown as SettingFlags)));
  }

  it.each([
    {},
    { model: "nano", weights: "nano", batchSize: 2, lr: 3e-4, precision: "bf16-mixed", device: "cpu", resolution: 384 },
    { scaler: { init: 1024 }, notes: "5", precisionOverrides: { "transformer.*": "fp32" }, useEma: false, maxSteps: 7 },
    { model: "demo", lr: 1e-4, multiScale: "off" },
    { weights: "none" },
    { processes: 2 },
  ] as const)("sets what the run had set: %j", (options) => {
    const settings = toFile(resolveSettings({ datasetDir: "/data/birds", ...options }));
    const folder = reportRun(join(root, `settings-${JSON.stringify(options).length}`), { settings });
    const { config } = readRun(folder);
    if (config === null) throw new Error("Expected a configuration");
    const again = settingsFrom(repeatWords(config));
    expect({ ...again, seed: null }).toEqual({ ...settings, seed: null });
    expect(again.seed).toBe(11);
  });
});
