import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { settings } from "../settings/settings.js";
import { examples } from "./examples.js";
import { buildProgram, withHelpWords } from "./program.js";
import { settingOfFlag, writtenFlag } from "./train/train-flags.js";

const program = buildProgram(() => {});
const all: [string, Command][] = [];
const collect = (command: Command, path: string): void => {
  all.push([path, command]);
  for (const child of command.commands) collect(child, `${path} ${child.name()}`);
};
collect(program, "rfdetr");

describe.each(all)("the help of %s", (path, command) => {
  it("has a description that begins with a capital letter and has no full stop", () => {
    expect(command.description()).toMatch(/^[A-Z].*[^.]$/);
  });

  it("has options whose descriptions begin with a small letter, or a name, and have no full stop", () => {
    for (const { long, description } of command.options)
      expect(`${long} ${description}`).toMatch(/^--[\w-]+ ([a-z0-9(]|COCO|JSON|Python|YOLO|ONNX|CUDA).*[^.]$/);
  });

  it("has examples whose commands and flags exist", () => {
    expect(examples[path]?.length, `examples of ${path} in cli/examples.ts`).toBeGreaterThan(0);
    for (const line of examples[path]) {
      const [, own] = [...all].reverse().find(([name]) => `${line} `.startsWith(`${name} `)) as [string, Command];
      expect(own.name() === command.name() || path === "rfdetr" || command.commands.includes(own), line).toBe(true);
      const known = own.options.flatMap(({ long, short }) => [long, short]);
      for (const [flag] of line.matchAll(/(?<= )--?[a-z][\w-]*/g)) expect(known, line).toContain(flag);
    }
  });
});

it("has examples of commands that exist only", () => {
  expect(Object.keys(examples).filter((path) => !all.some(([name]) => name === path))).toEqual([]);
});

it("names the commands that the launcher names before the program is built", () => {
  const launcher = readFileSync(new URL("../../bin/rfdetr.mjs", import.meta.url), "utf8");
  const [, names] = /const commands =\s+"([^"]*)"/.exec(launcher) as RegExpExecArray;
  expect(names.split(", ")).toEqual(program.commands.map((command) => command.name()));
});

it("says the default of every setting that has a flag of its own", () => {
  const train = program.commands.find((command) => command.name() === "train") as Command;
  for (const [flag, name] of Object.entries(settingOfFlag)) {
    const { fallback } = settings[name];
    const { description } = train.options.find(({ long }) => long === writtenFlag(flag)) as { description: string };
    if (fallback !== undefined && fallback !== null)
      expect(description).toMatch(new RegExp(`\\(default: .*\\b${String(fallback)}[,)]`));
    else if (name !== "dataset_dir") expect(description).toContain("(default: ");
  }
});

it("shows defaults as they are typed, none of a switch, and what cannot be left out", () => {
  const help = (...path: string[]) => {
    const command = all.find(([name]) => name === ["rfdetr", ...path].join(" "))?.[1] as Command;
    return command.helpInformation().replaceAll(/\s+/g, " ");
  };
  for (const [name] of all)
    expect(help(...name.split(" ").slice(1)), name).not.toMatch(/default: ["[]|default: (false|true)/);
  expect(help("val")).toContain("train, valid or test (default: valid)");
  expect(help("bench", "load")).toContain("the first (default: 2 0 1)");
  for (const said of [
    "pixels (default: that of the model)",
    "group (default: those of the model)",
    "image (default: 8)",
  ])
    expect(help("bench", "train")).toContain(said);
  expect(help("predict")).toMatch(/an exported \.onnx \(required\)/);
  expect(help("data", "convert")).toContain("coco or yolo (required)");
});

it("names the model for trying things out wherever there is a model to choose", () => {
  const flags = all.flatMap(([, { options }]) => options.filter(({ long }) => long === "--model"));
  expect(flags.length).toBeGreaterThan(3);
  for (const { description } of flags) expect(description).toContain("tiny");
});

describe("withHelpWords", () => {
  it.each([
    ["", "--help"],
    ["help", "--help"],
    ["help train", "train --help"],
    ["help data check", "data check --help"],
    ["train help", "train --help"],
    ["data help", "data --help"],
    ["data check help", "data check --help"],
    ["train -V", "--version"],
    ["predict photos/ help", "predict photos/ help"],
    ["trian --help", "trian"],
    ["help trian", "trian"],
    ["trian --version", "trian"],
    ["data chekc -h", "data chekc"],
    ["--json train --lr 1", "train --json --lr 1"],
    ["--plain data --json check d", "data check --plain --json d"],
    ["--json help train", "train --json --help"],
    ["--json trian", "trian"],
    ["bench foo --json", "bench foo"],
    ["predict --json photos/", "predict --json photos/"],
    ["predict -- --json", "predict -- --json"],
  ])("reads '%s' as '%s'", (line, meant) => {
    const words = (text: string) => (text === "" ? [] : text.split(" "));
    expect(withHelpWords(words(line), program)).toEqual(words(meant));
  });
});
