// The command itself, from the compiled files.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { writeExampleRun } from "../../testing/runs/example-run.js";

const folder = mkdtempSync(join(tmpdir(), "dash-"));
writeExampleRun(join(folder, "one"), { steps: 5 });
afterAll(() => rmSync(folder, { recursive: true }));
const launcher = fileURLToPath(new URL("../../../bin/rfdetr.mjs", import.meta.url));

function start({ cwd }: { cwd?: string }, ...words: string[]) {
  const child = spawn(process.execPath, [launcher, "dash", ...words], { cwd, stdio: ["ignore", "pipe", "pipe"] });
  let [out, err] = ["", ""];
  child.stdout.on("data", (part) => (out += part));
  child.stderr.on("data", (part) => (err += part));
  const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
  return { child, ended, out: () => out, err: () => err };
}

describe("rfdetr dash", () => {
  it("prints its address as JSON, and ends cleanly with Ctrl-C while a page is open", async () => {
    const { child, ended, out } = start({}, folder, "--port", "0", "--json");
    await expect.poll(out, { timeout: 60_000 }).toMatch(/\n$/);
    const { url, port } = JSON.parse(out()) as { url: string; port: number };
    expect(new URL(url).port).toBe(String(port));
    const cookie = (await fetch(url)).headers.get("set-cookie")?.split(";")[0] ?? "";
    // A stream that never ends by itself.
    const events = await fetch(`http://127.0.0.1:${port}/api/events`, { headers: { cookie } });
    expect(events.status).toBe(200);
    child.kill("SIGINT");
    expect(await ended).toBe(0);
  });

  it("waits for the first run where there is no folder of runs yet", async () => {
    const { child, ended, out, err } = start({ cwd: folder }, "--port", "0", "--json");
    await expect.poll(err, { timeout: 60_000 }).toContain("no run yet: the page waits for the first one in runs/");
    expect(JSON.parse(out())).toHaveProperty("url");
    child.kill("SIGINT");
    expect(await ended).toBe(0);
  });

  it.each([
    ["a folder that does not exist", [join(folder, "none")], 1, /Expected a folder of runs but .*none does not exist/],
    [
      "a port that is none",
      [folder, "--port", "70000"],
      2,
      /Expected a port from 0 to 65535 for port but received 70000/,
    ],
  ])("says in a sentence what is wrong with %s", async (_, words, code, message) => {
    const { ended, err } = start({}, ...words);
    expect(await ended).toBe(code);
    expect(err()).toMatch(message);
    expect(err().trim().split("\n").length).toBeLessThanOrEqual(2);
  });
});
