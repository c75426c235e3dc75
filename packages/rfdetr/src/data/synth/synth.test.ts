import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { type SynthOptions, synthesize } from "./synth.js";

const root = mkdtempSync(join(tmpdir(), "synth-"));
afterAll(() => rmSync(root, { recursive: true }));

it.each<[SynthOptions, string]>([
  [{ size: 5_000_000 }, "Expected integer from 64 to 4096 for size but received 5000000"],
  [{ size: 63 }, "Expected integer from 64 to 4096 for size but received 63"],
  [{ images: 0 }, "Expected integer from 1 to 1000000 for images but received 0"],
  [{ images: 1e12 }, "Expected integer from 1 to 1000000 for images but received 1000000000000"],
  [{ classes: 25 }, "Expected integer from 1 to 24 for classes but received 25"],
  [{ classes: 1.5 }, "Expected integer from 1 to 24 for classes but received 1.5"],
  [{ seed: -1 }, "for seed but received -1"],
])("a synthetic dataset is refused with %j", async (options, message) => {
  const folder = join(root, "data");
  await expect(synthesize(folder, options)).rejects.toMatchObject({
    code: "ERR_USAGE",
    message: expect.stringContaining(message),
  });
  expect(existsSync(folder)).toBe(false);
});

it("a synthetic dataset may be named with a slash at the end", async () => {
  await synthesize(`${join(root, "slash")}/`, { images: 1, size: 64, classes: 1 });
  expect(readdirSync(root)).toEqual(["slash"]);
});
