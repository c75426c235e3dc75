import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { reasonOf } from "../support/files/system-error.js";
import { defineConfig, loadConfig } from "./config-file.js";
import { configSchema } from "./config-schema.js";
import { resolveSettings } from "./resolve.js";
import { settings } from "./settings.js";

const folder = mkdtempSync(join(tmpdir(), "config-"));
const file = (name: string, content: string): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

describe("a config file", () => {
  it("is JSON, YAML or a module that exports settings", async () => {
    expect(await loadConfig(file("a.json", '{ "lr": 0.1 }'))).toEqual({ lr: 0.1 });
    expect(await loadConfig(file("a.yaml", "lr: 0.1\n"))).toEqual({ lr: 0.1 });
    expect(await loadConfig(file("a.mjs", "export default { lr: 0.1 };\n"))).toEqual({ lr: 0.1 });
  });

  it("may name its data as detector.train does", async () => {
    for (const path of [
      file("data.json", '{ "data": "birds" }'),
      file("data.mjs", 'export default { data: "birds" };\n'),
    ])
      expect(await loadConfig(path)).toEqual({ dataset_dir: "birds" });
    await expect(loadConfig(file("both.json", '{ "data": "a", "dataset_dir": "b" }'))).rejects.toThrow(
      "Expected data or dataset_dir but received both: leave one out",
    );
  });

  it("may be that of a run, whose settings are taken without its folder", async () => {
    const run = { started: "2026-11-27T10:00:00Z", settings: { lr: 0.1, output_dir: "runs/a" }, seed: 3 };
    expect(await loadConfig(file("config.json", JSON.stringify(run)))).toEqual({ lr: 0.1 });
  });

  it("in TypeScript says what an older Node can read", () => {
    const error = Object.assign(new TypeError('Unknown file extension ".ts" for /x/s.ts'), {
      code: "ERR_UNKNOWN_FILE_EXTENSION",
    });
    expect(reasonOf(error)).toBe(
      `Node ${process.versions.node} reads no TypeScript: write it as JavaScript (.mjs), or take Node 22.18 or later`,
    );
  });

  it("that cannot be used is named", async () => {
    await expect(loadConfig(file("none.mjs", "export const lr = 1;\n"))).rejects.toThrow(
      /Expected an object of settings as the default export of .*none\.mjs but received nothing/,
    );
    for (const [name, content] of [
      ["list.json", "[]"],
      ["list.mjs", "export default [];"],
    ])
      await expect(loadConfig(file(name, content))).rejects.toMatchObject({
        code: "ERR_CONFIG",
        message: expect.stringMatching(/^Expected an object of settings .*list\.\w+ but received \[\]$/),
      });
    await expect(
      loadConfig(file("getter.mjs", "export default { get lr() { throw new Error('no rate'); } };\n")),
    ).rejects.toThrow(/The config file .*getter\.mjs cannot be loaded: no rate/);
    await expect(loadConfig(file("broken.mjs", "throw new Error('no luck');\n"))).rejects.toMatchObject({
      code: "ERR_CONFIG",
      message: expect.stringMatching(/The config file .*broken\.mjs cannot be loaded: no luck/),
    });
    for (const name of ["gone.mjs", "gone.json"])
      await expect(loadConfig(join(folder, name))).rejects.toMatchObject({
        code: "ERR_CONFIG",
        message: expect.stringContaining(`${name} cannot be read`),
      });
  });

  it("may name its schema", () => {
    expect(resolveSettings({ $schema: "./config.schema.json", datasetDir: "d", lr: 1 })).toMatchObject({ lr: 1 });
  });

  it("is what defineConfig was given", () => {
    const config = { model: "small", freeze: ["backbone.*"] };
    expect(defineConfig(config)).toBe(config);
  });
});

describe("the schema of config files", () => {
  const { properties } = configSchema() as { properties: Record<string, Record<string, unknown>> };

  it("has every setting by both spellings, with default and meaning, and says why others are none", () => {
    for (const [name, { about, fallback }] of Object.entries(settings)) {
      expect(properties[name].description).toContain(about);
      expect(properties[name].default).toEqual(fallback);
    }
    expect(properties.lr).toMatchObject({ type: "number", minimum: 0, default: 1e-4 });
    expect(properties.batchSize).toEqual({ $ref: "#/properties/batch_size" });
    expect(properties.data).toEqual({ $ref: "#/properties/dataset_dir" });
    expect(properties.pretrain_weights).toEqual({ $ref: "#/properties/weights" });
    expect(properties.optimizer.description).toMatch(/^No setting here: /);
    expect(properties.$schema).toMatchObject({ type: "string" });
  });
});
