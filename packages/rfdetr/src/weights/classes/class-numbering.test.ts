import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { manualSeed, ops, type Picklable, savePth, type Tensor } from "@rfdetr/torch";
import { afterAll, describe, expect, it } from "vitest";
import { cocoClasses } from "../../model/coco-classes.js";
import { RFDETRModel } from "../../model/rfdetr.js";
import { resolveModel } from "../../model/variants.js";
import { readWeights } from "../weights.js";
import { type ClassNumbering, type NumberingFacts, numberingOf } from "./class-numbering.js";
import { isClassHead } from "./class-rows.js";

const folder = mkdtempSync(join(tmpdir(), "class-numbering-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, "checkpoint.pth");

describe("the label of the first class", () => {
  const facts: NumberingFacts = {
    names: 2,
    rows: 3,
    declared: undefined,
    dataset: undefined,
    modern: false,
    version: undefined,
  };
  it.each<[string, Partial<NumberingFacts>, string, boolean]>([
    ["Roboflow's COCO format, 1.0 to 1.5", { declared: 3, dataset: "roboflow" }, "from1", false],
    ["a head of exactly the declared rows", { declared: 3 }, "from1", false],
    ["a YOLO folder, 1.4 and 1.5", { rows: 2, declared: 2, dataset: "yolo" }, "from0", true],
    ["1.6 and later without a grouping category", { modern: true, dataset: "roboflow" }, "from0", true],
    ["1.6 to 1.9.1 with one", { rows: 4, modern: true, dataset: "roboflow", version: "1.8.0" }, "from1", false],
    ["1.9.2 and later", { rows: 4, modern: true, dataset: "roboflow", version: "1.10.1" }, "from0", true],
    ["many rows of no name", { rows: 91, modern: true, dataset: "roboflow" }, "from0", false],
    ["nothing but names", {}, "from0", false],
    ["no names", { names: 0, declared: 3, dataset: "roboflow" }, "from0", true],
  ])("%s", (_, given, from, certain) => {
    expect(numberingOf({ ...facts, ...given })).toEqual({ from, certain });
  });
});

describe("a checkpoint of the Python package", () => {
  manualSeed(0);
  const model = new RFDETRModel(resolveModel("tiny", { numClasses: 2 }));
  const state = model.stateDict();

  /** Reads a checkpoint whose class heads have these rows of the model's. */
  function read(rows: number[], args: Record<string, Picklable>, classNumbering: ClassNumbering = "auto") {
    const tensors = new Map(
      [...state].map(([key, tensor]) => [
        key,
        isClassHead(key)
          ? ops.cat(
              rows.map((row) => tensor.detach().narrow(0, row, 1)),
              { dim: 0 },
            )
          : tensor,
      ]),
    );
    savePth(path, { model: tensors, args });
    const warnings: string[] = [];
    const { classNames, tensors: found } = readWeights(path, { classNumbering, warn: (text) => warnings.push(text) });
    const head = found.get("transformer.enc_out_class_embed.1.weight") as Tensor;
    const own = state.get("transformer.enc_out_class_embed.1.weight") as Tensor;
    const order = Array.from({ length: head.shape[0] }, (_, i) =>
      rows.find(
        (row) =>
          head
            .narrow(0, i, 1)
            .sub(own.narrow(0, row, 1))
            .abs()
            .sum()
            .item() === 0,
      ),
    );
    for (const tensor of found.values()) tensor.dispose();
    return { classNames, order, warnings };
  }

  const roboflow = { class_names: ["dog", "cat"], num_classes: 3, dataset_file: "roboflow" };

  it("of 1.4 with labels from 1 has class i in row i afterwards, and both readings are named", () => {
    const { classNames, order, warnings } = read([2, 0, 1], roboflow);
    expect([classNames, order]).toEqual([
      ["dog", "cat"],
      [0, 1, 2],
    ]);
    expect(warnings).toEqual([
      `The class numbers of ${path} can be read in two ways. It is read as: label 1 is dog. ` +
        "If label 0 is dog and label 1 cat, set class_numbering to from0",
    ]);
  });

  it("is read as the user decides, without a word", () => {
    expect(read([2, 0, 1], roboflow, "from0")).toEqual({ classNames: ["dog", "cat"], order: [2, 0, 1], warnings: [] });
    expect(read([2, 0, 1], { class_names: ["dog", "cat"] }, "from1")).toMatchObject({ order: [0, 1, 2], warnings: [] });
    const yolo = { class_names: ["dog", "cat"], num_classes: 2, dataset_file: "yolo" };
    expect(() => read([0, 1], yolo, "from1")).toThrow(/Expected a class head with a row before its classes/);
  });

  it("of a YOLO folder stays as it is: every row is a class", () => {
    const yolo = { class_names: ["dog", "cat"], num_classes: 2, dataset_file: "yolo" };
    expect(read([0, 1], yolo)).toEqual({ classNames: ["dog", "cat"], order: [0, 1], warnings: [] });
  });

  it("without names keeps its labels, and only the last row of a newer one is the background", () => {
    const old = read([2, 0, 1], { class_names: [], num_classes: 3, dataset_file: "roboflow" });
    expect([old.classNames, old.order]).toEqual([
      ["class 0", "class 1", "class 2"],
      [2, 0, 1],
    ]);
    expect(old.warnings).toEqual([expect.stringMatching(/does not name its classes: class 1 is the one with label 1/)]);
    expect(read([0, 1, 2], {}).classNames).toEqual(["class 0", "class 1"]);
  });

  it("has a name for every row of a class: class N beyond the names", () => {
    const { classNames } = read([0, 1, 2, 0, 1], { class_names: ["dog", "cat"] }, "from0");
    expect(classNames).toEqual(["dog", "cat", "class 2", "class 3"]);
  });

  it("of COCO has the classes at their ids, whether it names them by id, in order or not at all", () => {
    const rows = Array.from({ length: 91 }, (_, i) => i % 3);
    const names = cocoClasses.filter((name) => name !== "unused");
    const byId = new Map(cocoClasses.flatMap((name, id) => (name === "unused" ? [] : [[String(id), name] as const])));
    expect(read(rows, { class_names: names, num_classes: 90 }).classNames).toEqual(cocoClasses);
    expect(read(rows, { num_classes: 90, dataset_file: "coco" }).classNames).toEqual(cocoClasses);
    expect(byId.size).toBe(80);
  });
});
