// Config files of `rfdetr train` that give no settings.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { folder, rfdetr } from "./command-script.js";

const ended =
  /^The config file config\.\w+ ended the program, or waited for what never comes, before it gave its settings$/;
const none = /^Expected an object of settings .*config\.\w+ but received (5|null|\[\])$/;

describe("a config file that gives no settings", () => {
  it.each([
    ["waits for what never comes", "mjs", "await new Promise(() => {}); export default {};", ended],
    ["ends the program", "mjs", "process.exit(0);", ended],
    ["ends the program later", "mjs", "setTimeout(() => process.exit(0)); await new Promise(() => {});", ended],
    ["throws", "mjs", "throw new Error('no luck');", /^The config file config\.mjs cannot be loaded: no luck$/],
    ["exports something else", "mjs", "export default 5;", none],
    ["has a list", "json", "[]", none],
    ["has null", "json", "null", none],
    ["has null", "yaml", "null", /^Expected a mapping of names to values in config\.yaml but received a single value$/],
  ])("is named in one sentence, with one exit code, where it %s: .%s", (_, kind, content, message) => {
    const name = `config.${kind}`;
    writeFileSync(join(folder, name), content);
    const train = (...flags: string[]) => rfdetr("train", "--config", name, "--data", "data", ...flags);
    const { status, stdout } = train("--json");
    const { error } = JSON.parse(stdout);
    expect(error).toEqual({ code: "ERR_CONFIG", message: expect.stringMatching(message) });
    expect(status).toBe(2);
    expect(train("--dry-run")).toEqual({ status: 2, stdout: "", stderr: `error: ${error.message}\n` });
  });
});
