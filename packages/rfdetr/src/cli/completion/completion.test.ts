import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { variants } from "../../model/variants.js";
import { type SettingName, settings } from "../../settings/settings.js";
import { precisions } from "../context.js";
import { buildProgram } from "../program.js";
import { flagOfSetting } from "../train/train-flags.js";
import { commandWords } from "./command-words.js";
import { fishScript } from "./fish-script.js";
import { bashScript, zshScript } from "./posix-script.js";
import { valuesOf } from "./values.js";

const program = buildProgram(() => {});
const commands = await commandWords(program);
const folder = mkdtempSync(join(tmpdir(), "completion-"));
const script = join(folder, "rfdetr.bash");
const scripts = { bash: script, zsh: join(folder, "_rfdetr"), fish: join(folder, "rfdetr.fish") };
beforeAll(() => {
  writeFileSync(scripts.bash, bashScript(commands));
  writeFileSync(scripts.zsh, zshScript(commands));
  writeFileSync(scripts.fish, fishScript(commands));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The lines that a shell prints. Bash reads its settings where it takes a socket for the network: not here. */
function linesOf(shell: string, args: readonly string[]): string[] {
  const alone = shell === "bash" ? ["--norc", ...args] : args;
  const { stdout, stderr, status } = spawnSync(shell, alone, { encoding: "utf8", cwd: folder });
  expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
  return stdout.split("\n").filter((line) => line !== "");
}

/** What bash completes the last of the words to, as it splits them. A last word says that no space follows. */
function bash(...words: string[]): string[] {
  const run =
    `compopt() { more=$2; }; source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); more=; ` +
    `_rfdetr; printf "%s\\n" "\${COMPREPLY[@]}" "$more"`;
  return linesOf("bash", ["-uc", run, "bash", script, "rfdetr", ...words]);
}

/** What zsh adds for the last of the words: the arguments of its builtins, without lists of options and commands. */
function zsh(...words: string[]): string[] {
  const run =
    `compadd() { print -l -- "$@"; }; _files() { print files; }; compset() { PREFIX=\${current#*=}; }; ` +
    `compdef() { :; }; source $1; shift; words=("$@"); CURRENT=$#; _rfdetr`;
  return linesOf("zsh", ["-fc", run, "zsh", scripts.zsh, "rfdetr", ...words]).filter((line) => line !== "--");
}

/** What fish completes a line to, without what it says of each. */
function fish(line: string): string[] {
  const run = `source ${scripts.fish}; complete -C "${line}"`;
  return linesOf("fish", ["--no-config", "-c", run]).map((each) => each.split("\t")[0]);
}
const has = (shell: string): boolean => spawnSync(shell, ["--version"]).status === 0;

/** The beginnings of settings for `--set`. */
const beginnings = Object.keys(settings)
  .filter((name) => flagOfSetting(name as SettingName).startsWith("--set"))
  .map((name) => `${name}=`);
const named = (...path: string[]): Command =>
  path.reduce((at, name) => at.commands.find((child) => child.name() === name) as Command, program);
const longOf = (command: Command): string[] =>
  command
    .createHelp()
    .visibleOptions(command)
    .map(({ long, short }) => (long ?? short) as string);

describe("completion in bash", () => {
  it("has the commands, and those below them", () => {
    expect(bash("")).toEqual(program.commands.map((command) => command.name()));
    expect(bash("tr")).toEqual(["train"]);
    expect(bash("data", "")).toEqual(["synth", "check", "stats", "split", "convert"]);
    expect(bash("--plain", "data", "c")).toEqual(["check", "convert"]);
  });

  it("has the options of every command", () => {
    for (const { path } of commands) {
      const words = path.split(" ").slice(1);
      expect(bash(...words, "-"), path).toEqual(longOf(named(...words)));
    }
    expect(bash("train", "--data", "birds", "--re")).toEqual(["--resolution", "--resume"]);
    expect(bash("predict", "val", "--thr")).toEqual(["--threshold"]);
  });

  it("has the values of an option, behind a space or an equals sign", () => {
    expect(bash("train", "--model", "")).toEqual(variants);
    expect(bash("train", "--precision", "")).toEqual(precisions);
    expect(bash("train", "--model", "seg-n")).toEqual(["seg-nano"]);
    expect(bash("train", "--model", "=")).toEqual(variants);
    expect(bash("train", "--model", "=", "seg-n")).toEqual(["seg-nano"]);
    expect(bash("data", "convert", "a", "b", "--to", "")).toEqual(["coco", "yolo"]);
    expect(bash("export", "--precision", "")).toEqual(["fp32", "fp16", "int8"]);
  });

  it("has the values of an argument at its place", () => {
    expect(bash("completion", "")).toEqual(["bash", "zsh", "fish"]);
    expect(bash("control", "runs/a", "")).toEqual(["pause", "go-on", "stop", "override", "undo"]);
    expect(bash("control", "--wait", "9", "runs/a", "--json", "p")).toEqual(["pause"]);
    expect(bash("control", "runs/a", "override", "*", "f")).toContain("fp32");
  });

  it("has the words of a threshold, and the names of settings", () => {
    expect(bash("predict", "val", "--threshold", "")).toEqual(["best", "best-by-class"]);
    expect(bash("settings", "multi_s")).toEqual(["multi_scale"]);
    expect(bash("train", "--set", "")).toEqual([...beginnings, "nospace"]);
    expect(bash("train", "--set", "multi_s")).toEqual(["multi_scale=", "nospace"]);
    expect(bash("train", "--set", "multi_scale", "=", "")).toEqual([]);
    expect(bash("train", "--set", "multi_scale", "=", "off", "--prec")).toEqual(["--precision"]);
  });

  it("leaves files to bash elsewhere", () => {
    const lines = [
      ["train", "--data", ""],
      ["predict", ""],
      ["val", "--weights", "=", ""],
      ["control", ""],
    ];
    for (const line of lines) expect(bash(...line), line.join(" ")).toEqual([]);
    expect(bashScript(commands)).toMatch(/^complete -o bashdefault -o default -F _rfdetr rfdetr$/m);
  });
});

describe.skipIf(!has("zsh"))("completion in zsh", () => {
  it("has the values of options and arguments at their place", () => {
    expect(zsh("predict", "--threshold", "")).toEqual(["best", "best-by-class"]);
    expect(zsh("train", "--set", "")).toEqual(["-S", ...beginnings]);
    expect(zsh("train", "--model=")).toEqual([...variants]);
    expect(zsh("control", "runs/a", "p")).toContain("pause");
    expect(zsh("control", "runs/a", "override", "")).toEqual(["files"]);
  });
});

describe.skipIf(!has("fish"))("completion in fish", () => {
  it("has the values of options", () => {
    expect(fish("rfdetr predict val --threshold ")).toEqual(["best", "best-by-class"]);
    expect(fish("rfdetr train --set ").sort()).toEqual([...beginnings].sort());
    expect(fish("rfdetr train --set=multi_s")).toEqual(["--set=multi_scale="]);
    expect(fish("rfdetr settings multi_s")).toEqual(["multi_scale"]);
  });

  it("has the values of an argument at its place alone", () => {
    const rules = ["bf16", "bf16x3", "fp32", "keep", "lower", "policy", "widest"];
    expect(fish("rfdetr control ")).not.toContain("pause");
    expect(fish("rfdetr control runs/a ").sort()).toEqual(["go-on", "override", "pause", "stop", "undo"]);
    expect(fish("rfdetr control --wait 9 runs/a --json p")).toEqual(["pause"]);
    expect(fish("rfdetr control runs/a override '*' ").sort()).toEqual(rules);
    expect(fish("rfdetr completion ").sort()).toEqual(["bash", "fish", "zsh"]);
    expect(fish("rfdetr completion fish ")).not.toContain("bash");
  });
});

describe("the words that can be completed", () => {
  it("have values wherever the help names a few", async () => {
    const few = [
      "--model",
      "--precision",
      "--number-format",
      "--device",
      "--split",
      "--format",
      "--class-numbering",
      "--to",
      "--by",
    ];
    const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)];
    for (const command of all(program))
      for (const option of command.options)
        if (few.includes(option.long ?? ""))
          expect((await valuesOf(option))?.length, `${command.name()} ${option.long}`).toBeGreaterThan(1);
  });

  it("are in the scripts of all shells", () => {
    const shown = [zshScript(commands), fishScript(commands)];
    expect(shown[1]).toContain(`'__rfdetr_at \\'rfdetr control\\' 1' -f -a 'pause go-on`);
    for (const text of shown)
      for (const word of ["demo-page", "seg-nano", "bf16-mixed", "go-on"]) expect(text).toContain(word);
    for (const { path, options } of commands)
      for (const { flags } of options) {
        expect(shown[0], path).toContain(`'${flags[0]}:`);
        expect(shown[1], path).toContain(`-l ${flags[0].slice(2)} `);
      }
  });
});
