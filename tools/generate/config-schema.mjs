#!/usr/bin/env node
// @ts-check
// Writes the JSON Schema of config files, packages/rfdetr/config.schema.json, from the table of settings.
//
//   npm run build && node tools/generate/config-schema.mjs           writes it
//   npm run build && node tools/generate/config-schema.mjs --check   fails where it is out of date
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { configSchema } from "rfdetr/settings";

const file = new URL("../../packages/rfdetr/config.schema.json", import.meta.url);
const made = `${JSON.stringify(configSchema(), null, 2)}\n`;
if (!process.argv.includes("--check")) writeFileSync(file, made);
else if (!existsSync(file) || readFileSync(file, "utf8") !== made) {
  console.error(
    "packages/rfdetr/config.schema.json does not show the settings as they are: run npm run build && node tools/generate/config-schema.mjs",
  );
  process.exitCode = 1;
}
