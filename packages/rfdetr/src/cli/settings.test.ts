import { afterEach, describe, expect, it, vi } from "vitest";
import { variants } from "../model/variants.js";
import { settings } from "../settings/settings.js";
import { main } from "./main.js";

afterEach(() => void vi.restoreAllMocks());

async function run(...args: string[]) {
  let [stdout, stderr] = ["", ""];
  vi.spyOn(process.stdout, "write").mockImplementation((text) => Boolean((stdout += text)));
  vi.spyOn(process.stderr, "write").mockImplementation((text) => Boolean((stderr += text)));
  return { code: await main(["settings", ...args]), stdout, stderr };
}

describe("rfdetr settings", () => {
  it("lists every setting with its default, values and meaning", async () => {
    const { code, stdout } = await run();
    expect(code).toBe(0);
    for (const name of Object.keys(settings)) expect(stdout).toMatch(new RegExp(`^${name} (= |\\(required\\))`, "m"));
    expect(stdout).toContain("epochs = 100  positive integer\n    passes over the training images (--epochs)\n");
  });

  it("is data with --json", async () => {
    const { settings: rows } = JSON.parse((await run("--json")).stdout) as { settings: Record<string, unknown>[] };
    expect(rows.map(({ name }) => name)).toEqual(Object.keys(settings));
    expect(JSON.parse((await run("num_workers", "--json")).stdout)).toEqual({
      name: "num_workers",
      default: 2,
      takes: "integer of 0 or more, at most 256",
      about: settings.num_workers.about,
      flag: "--set num_workers=VALUE",
      in_package: true,
    });
  });

  it("shows one in full", async () => {
    expect((await run("max_steps")).stdout).toBe(
      "max_steps = null  positive integer or null\n" +
        `    ${settings.max_steps.about}\n` +
        "    on the command line: --set max_steps=VALUE\n" +
        "    the Python package does not have it\n",
    );
  });

  it("names the variants, and what the Python package calls a setting", async () => {
    expect((await run("model")).stdout).toBe(
      `model = "nano"  ${variants.join(", ")}\n` +
        "    variant of the model (--model)\n" +
        "    in the Python package: model_name\n",
    );
  });

  it.each([
    ["batch-size", 0, "batch_size = 4"],
    ["max_stepss", 2, "Expected a known setting but received max_stepss: did you mean max_steps?"],
    ["workers", 2, "did you mean num_workers?"],
    ["wandb", 2, "The setting wandb is not supported: events go to TensorBoard files and metrics.csv"],
    ["constructor", 2, "Expected a known setting but received constructor"],
  ])("answers %s", async (name, code, text) => {
    const answer = await run(name);
    expect(answer.code).toBe(code);
    expect(answer.stdout + answer.stderr).toContain(text);
  });
});
