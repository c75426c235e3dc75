import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const script = fileURLToPath(new URL("../../../tools/gpu-check.mjs", import.meta.url));
const run = (...args: string[]): string =>
  execFileSync(process.execPath, [script, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });

it("the check of a GPU runs on a device without values, and its report becomes a table", () => {
  const folder = mkdtempSync(join(tmpdir(), "gpu-check-"));
  try {
    const out = join(folder, "report.json");
    const text = run("--device", "meta", "--quick", "--out", out);
    expect(text.trim().split("\n").at(-1)).toMatch(/^[1-9]\d* passed, 0 failed$/);
    const { results, left_out } = JSON.parse(readFileSync(out, "utf8"));
    expect(results.map((each: { section: string }) => each.section)).toContain("devices");
    expect(left_out.map((each: { section: string }) => each.section)).toContain("parity");
    expect(run("--table", out)).toMatch(/^## On a GPU: .*\n\n`node tools\/gpu-check.mjs --device meta/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
