import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { main } from "../main.js";
import { parseAssignment, parseOverrides, settingsOf } from "./setting-flags.js";

describe("settings as text", () => {
  it("read values as JSON if they parse, as text otherwise", () => {
    expect(parseAssignment("lr=1e-3")).toEqual(["lr", 1e-3]);
    expect(parseAssignment("use_ema=false")).toEqual(["use_ema", false]);
    expect(parseAssignment("lr_scheduler=cosine")).toEqual(["lr_scheduler", "cosine"]);
    expect(() => parseAssignment("lr")).toThrow("Expected key=value");
  });

  it("read precision overrides, and name a pair or a rule that is wrong", () => {
    expect(parseOverrides(["backbone.*=fp32", "a=b=keep"])).toEqual({ "backbone.*": "fp32", "a=b": "keep" });
    expect(() => parseOverrides(["fp32"])).toThrow('Expected pattern=rule for override but received "fp32"');
    expect(() => parseOverrides(["a=fp8"])).toThrow('for a in override but received "fp8"');
  });
});

describe("the settings of a command line", () => {
  const config = join(mkdtempSync(join(tmpdir(), "settings-")), "settings.json");
  writeFileSync(
    config,
    '{"lr": 1, "gradAccumSteps": 2, "epochs": 3, "precision_overrides": {"a": "fp32", "b": "keep"}}',
  );

  it("are those of the file, replaced by those of --set and of flags", () => {
    expect(
      settingsOf({ amp: true, config, set: ["grad_accum_steps=4", "seed=7"], epochs: 5, override: ["b=lower"] }),
    ).toEqual({
      lr: 1,
      grad_accum_steps: 4,
      seed: 7,
      epochs: 5,
      precision_overrides: { a: "fp32", b: "lower" },
    });
  });

  it("have the flag --number-format for number_format, also to take that of a file back", () => {
    expect(settingsOf({ amp: true, numberFormat: "fp8" })).toEqual({ number_format: "fp8" });
    const file = { number_format: "fp8" };
    expect(settingsOf({ amp: true, config: file, numberFormat: null })).toEqual({ number_format: null });
    const twice = { amp: true, set: ["number_format=fp8"], numberFormat: "fp8" };
    expect(() => settingsOf(twice)).toThrow("--set number_format=fp8 and --number-format: leave one out");
  });

  it("replace all that a file says of the precision, whichever of its settings they name", () => {
    const file = { ampDtype: "bf16", amp: true, lr: 1 };
    expect(settingsOf({ amp: true, config: file, precision: "32-true" })).toEqual({ lr: 1, precision: "32-true" });
    expect(settingsOf({ amp: false, config: file })).toEqual({ lr: 1, amp: false });
    expect(settingsOf({ amp: true, config: file })).toEqual(file);
  });

  it.each([
    [{ amp: true, set: ["epochs=3"], epochs: 5 }, "Expected epochs once but received --set epochs=3 and --epochs"],
    [{ amp: true, set: ["lr=1", "lr=2"] }, "Expected lr once but received --set lr=1 and --set lr=2: leave one out"],
    [{ amp: true, set: ["batchSize=1"], batch: 2 }, "Expected batch_size once"],
    [{ amp: false, set: ["amp=true"] }, "Expected amp once but received --set amp=true and --no-amp"],
    [{ amp: true, epochs: "many" }, 'for epochs but received "many"'],
  ])("%j are refused", (flags, message) => {
    expect(() => settingsOf(flags)).toThrow(message);
  });

  it("keep a name that every object has, so that it is refused as unknown", () => {
    expect(Object.entries(settingsOf({ amp: true, set: ['__proto__={"epochs":7}'] }))).toEqual([
      ["__proto__", { epochs: 7 }],
    ]);
  });
});

it("takes --number-format none on the command line, as its help says, and names what it takes", async () => {
  let stderr = "";
  const write = vi.spyOn(process.stderr, "write").mockImplementation((text) => Boolean((stderr += text)));
  const said = async (format: string): Promise<string> => {
    stderr = "";
    await main(["train", "--data", "no/such/folder", "--model", "tiny", "--number-format", format]);
    return stderr;
  };
  expect(await said("none")).toMatch(/no\/such\/folder/);
  expect(await said("fp8")).toMatch(/no\/such\/folder/);
  expect(await said("fp9")).toMatch(/Expected one of .*none for number-format but received "fp9"/);
  write.mockRestore();
});
