// `rfdetr control`

import { moduleRules } from "@rfdetr/amp/names";
import type { Command } from "commander";
import type { ControlCommand } from "../../run/control/control.js";
import { expected, UsageError } from "../../support/errors.js";
import { either } from "../../support/format.js";
import { withValues } from "../completion/values.js";
import { consoleOf, exit, numeric, type OutputFlags, oneOf, positiveInteger, withOutputFlags } from "../context.js";

/** What a run can be asked for. */
const actions = ["pause", "go-on", "stop", "override", "undo"] as const;

/** Other words for them. */
const synonyms: Readonly<Record<string, string>> = { resume: "go-on", continue: "go-on", unpause: "go-on" };

type ControlFlags = OutputFlags & { wait: number };

/** Registers `rfdetr control`. */
export function addControl(program: Command, finish: (code: number) => void): void {
  const command = withOutputFlags(
    program
      .command("control")
      .description("Pause a run in progress, let it go on, stop it, or change the precision of single modules")
      .argument("<run>", "run folder")
      .argument("<action>", "pause, go-on (or resume, continue), stop, override, or undo of the last override")
      .argument("[pattern]", "of override: path pattern of the modules, such as transformer.decoder.layers.*.linear2")
      .argument("[rule]", `of override: ${either(moduleRules)}`)
      .option(
        "--wait <seconds>",
        "how long to wait for the end of the step or the evaluation that it is at",
        numeric,
        120,
      ),
  );
  withValues(command, { action: actions, rule: moduleRules }).action(
    async (run: string, action: string, pattern: string | undefined, rule: string | undefined, flags: ControlFlags) => {
      const { requestControl } = await import("../../run/control/control.js");
      const command = await commandOf(oneOf("action", synonyms[action] ?? action, actions), pattern, rule);
      const answer = await requestControl(run, command, { patience: positiveInteger("wait", flags.wait) });
      const console = consoleOf(flags);
      if (console.json) console.data(answer);
      if (answer.accepted) console.result(answer.message);
      else console.warning(answer.message);
      if (answer.paused === true) {
        const { goOnCommand } = await import("../console/next-command.js");
        console.fact(`to let it go on: ${goOnCommand(run)}`);
      }
      finish(answer.accepted ? exit.done : exit.failed);
    },
  );
}

/** @throws UsageError for an override without pattern or rule, and for any other action with one */
async function commandOf(
  action: (typeof actions)[number],
  pattern: string | undefined,
  rule: string | undefined,
): Promise<ControlCommand> {
  if (action !== "override") {
    if (pattern !== undefined) throw new UsageError(expected(`nothing after ${action}`, "pattern", pattern));
    return { command: action };
  }
  const { moduleRule } = await import("../../settings/precision-changes.js");
  if (pattern === undefined)
    throw new UsageError("Expected a pattern of module paths after override but received none");
  if (rule === undefined)
    throw new UsageError(`Expected a rule after the pattern but received none: ${either(moduleRules)}`);
  return { command: action, pattern, rule: oneOf("rule", rule, moduleRule.options) };
}
