import { textTable } from "@rfdetr/amp/text";
import { expect, it } from "vitest";
import type { ModuleRow } from "../../instruments/profile.js";
import { moduleTable, operatorTable, type Table } from "./profile-report.js";

function row(name: string, forward: number, children: ModuleRow[] = [], calls = 1): ModuleRow {
  return {
    name,
    path: name,
    calls,
    self_ms: { forward: 0, backward: 0 },
    total_ms: { forward, backward: 2 * forward },
    between_ms: 0,
    share: (3 * forward) / 300,
    children,
  };
}
const linear = (name: string, forward: number) => row(name, forward);
const layer = (name: string, forward: number) =>
  row(name, forward, [linear("fc1", forward / 2), linear("fc2", forward / 2)]);
const words = ({ header, rows }: Table): string[] =>
  textTable(header, rows)
    .split("\n")
    .map((line) => line.replace(/ {2,}/g, " | "));

it("shows numbered modules of one kind as one row, and joins names that are no modules", () => {
  const tree = [
    row("Model", 100, [
      row("encoder", 80, [row("layers", 80, [layer("0", 30), layer("1", 50)], 0)]),
      linear("head", 20),
    ]),
  ];
  expect(words(moduleTable(tree, 9, 0))).toEqual([
    "module | calls | forward ms | backward ms | outside operators | share",
    "Model | 1 | 100.0 | 200.0 | 0.0 | 100.0 %",
    " | encoder | 1 | 80.0 | 160.0 | 0.0 | 80.0 %",
    " | layers.0–1 | 2 | 80.0 | 160.0 | 0.0 | 80.0 %",
    " | fc1 | 2 | 40.0 | 80.0 | 0.0 | 40.0 %",
    " | fc2 | 2 | 40.0 | 80.0 | 0.0 | 40.0 %",
    " | head | 1 | 20.0 | 40.0 | 0.0 | 20.0 %",
  ]);
});

it("keeps numbered modules apart where they are of different kinds", () => {
  const tree = [row("Model", 100, [row("stages", 100, [layer("0", 60), linear("1", 40)], 0)])];
  expect(words(moduleTable(tree, 3, 0)).map((line) => line.split(" | ").find((word) => word !== ""))).toEqual([
    "module",
    "Model",
    "stages",
    "0",
    "1",
  ]);
});

it("leaves out what is small, and what lies deeper than asked for", () => {
  const tree = [row("Model", 100, [layer("big", 99), linear("small", 1)])];
  expect(words(moduleTable(tree, 2, 0.02))).toHaveLength(3);
  expect(words(moduleTable(tree, 1, 0))).toHaveLength(2);
});

it("has no column of backward where nothing ran backward", () => {
  const tree = [{ ...row("Model", 100), total_ms: { forward: 100, backward: 0 } }];
  expect(words(moduleTable(tree, 1, 0))[0]).toBe("module | calls | forward ms | outside operators | share");
});

it("sums up the operators that are not shown", () => {
  const operators = [3, 2, 1].map((self, i) => ({
    name: `aten::op${i}`,
    phase: "forward" as const,
    calls: 2,
    self_ms: self,
    total_ms: self,
    share: self / 6,
  }));
  expect(words(operatorTable(operators, 1))).toEqual([
    "operator | calls | self ms | total ms | share",
    "aten::op0 | forward | 2 | 3.0 | 3.0 | 50.0 %",
    "2 more | 4 | 3.0 | 50.0 %",
  ]);
});
