import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { cleanedUp } from "./signals.js";

it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
  "leaves nothing behind at %s, which ends the process",
  async (signal) => {
    const folder = mkdtempSync(join(tmpdir(), "cleaned-up-"));
    const file = join(folder, "unfinished");
    writeFileSync(file, "");
    const compiled = fileURLToPath(new URL("../../dist/cli/signals.js", import.meta.url));
    const script = `import { rmSync } from "node:fs";
      import { cleanedUp } from ${JSON.stringify(compiled)};
      const clean = () => rmSync(${JSON.stringify(file)});
      await cleanedUp(clean, () => new Promise((end) => { setTimeout(end, 60_000); console.log("ready"); }));`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script]);
    await once(child.stdout, "data");
    child.kill(signal);
    expect(await once(child, "exit")).toEqual([null, signal]);
    expect(existsSync(file)).toBe(false);
    rmSync(folder, { recursive: true });
  },
);

it("gives what the work gives, and listens no longer", async () => {
  const before = process.listenerCount("SIGINT");
  expect(
    await cleanedUp(
      () => {},
      async () => process.listenerCount("SIGINT"),
    ),
  ).toBe(before + 1);
  expect(process.listenerCount("SIGINT")).toBe(before);
});
