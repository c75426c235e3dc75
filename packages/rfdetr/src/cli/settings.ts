// `rfdetr settings`
import type { Command } from "commander";
import type { Setting } from "../settings/setting.js";
import type { SettingName } from "../settings/settings.js";
import { UsageError } from "../support/errors.js";
import { withValues } from "./completion/values.js";
import { consoleOf, exit, type OutputFlags, withOutputFlags } from "./context.js";
import { flagOfSetting } from "./train/train-flags.js";

/** Registers `rfdetr settings`. */
export function addSettings(program: Command, finish: (code: number) => void): void {
  const command = withOutputFlags(
    program
      .command("settings")
      .description("List the settings of a training with their values, defaults and meaning")
      .argument("[name]", "only this setting, in full"),
  );
  const names = async () => Object.keys((await import("../settings/settings.js")).settings);
  withValues(command, { name: names }).action(async (name: string | undefined, flags: OutputFlags) =>
    finish(await show(name, flags)),
  );
}

async function show(name: string | undefined, flags: OutputFlags): Promise<number> {
  const { kindOf, settingNamed } = await import("../settings/resolve.js");
  const { refused } = await import("../settings/refused-settings.js");
  const { settings } = await import("../settings/settings.js");
  const console = consoleOf(flags);
  const key = name?.replace(/^-+/, "").replaceAll("-", "_");
  if (key !== undefined && !Object.hasOwn(settings, key)) {
    if (Object.hasOwn(refused, key))
      throw new UsageError(`The setting ${key} is not supported: ${refused[key].reason}`);
    const meant = settingNamed(key);
    throw new UsageError(
      `Expected a known setting but received ${name}${meant === undefined ? "" : `: did you mean ${meant}?`}`,
      { hint: "rfdetr settings lists them" },
    );
  }
  const known = Object.entries(settings) as [SettingName, Setting][];
  const rows = known
    .filter(([each]) => key === undefined || each === key)
    .map(([each, { fallback, about, most, also, ours = false, differs }]) => ({
      name: each,
      // What is required has no default.
      ...(fallback === undefined ? {} : { default: fallback }),
      takes: `${kindOf(each)}${most === undefined ? "" : `, at most ${most}`}`,
      about,
      flag: flagOfSetting(each, "VALUE"),
      ...(also === undefined ? {} : { also }),
      in_package: !ours,
      ...(differs === undefined ? {} : { differs }),
    }));
  if (console.json) console.data(key === undefined ? { settings: rows } : rows[0]);
  for (const row of rows) {
    const value = "default" in row ? `= ${JSON.stringify(row.default)}` : "(required)";
    console.sentence(`${console.bold(row.name)} ${value}  ${console.dim(row.takes)}`, 4);
    const lines = [
      `${row.about}${row.flag.startsWith("--set") ? "" : ` (${row.flag})`}`,
      ...(key === undefined ? [] : inFull(row)),
    ];
    for (const line of lines) console.sentence(`    ${line}`, 6);
  }
  if (key === undefined) {
    console.result();
    console.sentence(
      "Give them to rfdetr train by their flags, as --set NAME=VALUE (the value is JSON, or text), or in a JSON file with --config.",
    );
  }
  return exit.done;
}

/** What is said of a setting where it stands alone. */
function inFull(row: { flag: string; also?: string; in_package: boolean; differs?: string }): string[] {
  return [
    ...(row.flag.startsWith("--set") ? [`on the command line: ${row.flag}`] : []),
    ...(row.also === undefined ? [] : [`in the Python package: ${row.also}`]),
    ...(row.in_package || row.also !== undefined ? [] : ["the Python package does not have it"]),
    ...(row.differs === undefined ? [] : [`different from the Python package: ${row.differs}`]),
  ];
}
