import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { variants } from "../../model/variants.js";
import { precisions } from "../context.js";
import { buildProgram } from "../program.js";
import { commandWords } from "./command-words.js";
import { fishScript } from "./fish-script.js";
import { bashScript, zshScript } from "./posix-script.js";
import { valuesOf } from "./values.js";

const program = buildProgram(() => {});
const commands = commandWords(program);
const folder = mkdtempSync(join(tmpdir(), "completion-"));
const script = join(folder, "rfdetr.bash");
beforeAll(() => writeFileSync(script, bashScript(commands)));
afterAll(() => rmSync(folder, { recursive: true }));

/** What bash completes the last of the words to, as it splits them. */
function bash(...words: string[]): string[] {
  const run = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _rfdetr; printf "%s\\n" "\${COMPREPLY[@]}"`;
  const { stdout, stderr, status } = spawnSync("bash", ["-uc", run, "bash", script, "rfdetr", ...words], {
    encoding: "utf8",
  });
  expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
  return stdout.split("\n").filter((line) => line !== "");
}
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

describe("the words that can be completed", () => {
  it("have values wherever the help names a few", () => {
    const few = ["--model", "--precision", "--device", "--split", "--format", "--class-numbering", "--to", "--by"];
    const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)];
    for (const command of all(program))
      for (const option of command.options)
        if (few.includes(option.long ?? ""))
          expect(valuesOf(option)?.length, `${command.name()} ${option.long}`).toBeGreaterThan(1);
  });

  it("are in the scripts of all shells", () => {
    const shown = [zshScript(commands), fishScript(commands)];
    for (const text of shown)
      for (const word of ["demo-page", "seg-nano", "bf16-mixed", "go-on"]) expect(text).toContain(word);
    for (const { path, options } of commands)
      for (const { flags } of options) {
        expect(shown[0], path).toContain(`'${flags[0]}:`);
        expect(shown[1], path).toContain(`-l ${flags[0].slice(2)} `);
      }
  });
});
