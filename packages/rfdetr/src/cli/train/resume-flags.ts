// What `rfdetr train --resume` may change of a run.
import { changeable, type ResumeChanges } from "../../run/session/resume.js";
import { checkSetting } from "../../settings/resolve.js";
import type { SettingName } from "../../settings/settings.js";
import { UsageError } from "../../support/errors.js";
import { camelCase } from "../../support/names.js";
import { parseAssignment } from "./setting-flags.js";
import { flagOfSetting, settingOfFlag, writtenFlag } from "./train-flags.js";

/** The flags beside `--resume`. */
type ResumeFlags = Record<string, unknown> & {
  config?: string | Record<string, unknown>;
  set?: readonly string[];
  override?: readonly string[];
  amp: boolean;
};

/** The settings that the flags change. @throws UsageError for one that a run keeps, or for a wrong value */
export function resumeChanges(flags: ResumeFlags): ResumeChanges {
  const asked: [shown: string, name: string, value: unknown][] = [
    ...Object.entries(settingOfFlag)
      .filter(([flag]) => flags[flag] !== undefined)
      .map(([flag, name]): [string, string, unknown] => [writtenFlag(flag), name, flags[flag]]),
    ...(flags.set ?? []).map((text): [string, string, unknown] => {
      const [name, value] = parseAssignment(text);
      return [`--set ${name}`, name, value];
    }),
  ];
  const may = (name: string): name is (typeof changeable)[number] => (changeable as readonly string[]).includes(name);
  const kept = [
    ...asked.filter(([, name]) => !may(name)).map(([shown]) => shown),
    ...(flags.config === undefined ? [] : ["--config"]),
    ...(flags.override === undefined ? [] : ["--override"]),
    ...(flags.amp ? [] : ["--no-amp"]),
  ];
  if (kept.length > 0) {
    const changes = changeable.map((name: SettingName) => flagOfSetting(name)).join(", ");
    throw new UsageError(`A resumed run keeps its settings: leave out ${kept.join(", ")}`, {
      hint: `What may change: ${changes}`,
    });
  }
  return Object.fromEntries(
    asked.map(([shown, name, value]) => [
      camelCase(name),
      checkSetting(name as SettingName, value, shown.replace(/^--(set )?/, "")),
    ]),
  );
}
