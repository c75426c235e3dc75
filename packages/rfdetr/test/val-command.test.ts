// `rfdetr val` as its users meet it: in a process of its own.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { readDetails } from "../src/eval/details/details-file.js";
import { folder, rfdetr, script } from "./command-script.js";

/** Annotations of two of the images of the data, and results that find one object and miss the other. */
function writeResults(): string[] {
  const truth = { category_id: 1, bbox: [10, 10, 20, 20], area: 400, iscrowd: 0 };
  const files = readdirSync(join(folder, "data", "valid")).filter((name) => name.endsWith(".jpg"));
  const annotations = {
    images: files.slice(0, 2).map((file_name, i) => ({ id: i + 1, file_name, width: 64, height: 64 })),
    categories: [{ id: 1, name: "bird" }],
    annotations: [1, 2].map((id) => ({ ...truth, id, image_id: id })),
  };
  const results = [{ image_id: 1, category_id: 1, bbox: [10, 10, 20, 21], score: 0.75 }];
  const paths = [join(folder, "data", "valid", "two.json"), join(folder, "results.json")];
  writeFileSync(paths[0], JSON.stringify(annotations));
  writeFileSync(paths[1], JSON.stringify(results));
  return ["--annotations", paths[0], "--predictions", paths[1]];
}

beforeAll(() => {
  rfdetr("data", "synth", "data", "--images", "10", "--size", "64");
  const quick = ["--set", "multi_scale=off", "--set", "max_steps=2", "--batch", "2", "--plain"];
  expect(rfdetr("train", "--data", "data", "--model", "tiny", "--out", "run", ...quick).status).toBe(0);
  expect(rfdetr("convert", "run", "weights.pth").status).toBe(0);
});

describe("rfdetr val", () => {
  it.each([["run"], ["run/weights/best.safetensors"], ["weights.pth"]])(
    "--out writes the evaluation of %s, with pictures",
    (weights) => {
      const out = `of-${weights.replaceAll("/", "-")}`;
      const { status, stdout } = rfdetr("val", "--weights", weights, "--data", "data", "--out", out, "--plain");
      expect(status).toBe(0);
      const details = readDetails(join(folder, out, "evaluation.json"));
      expect(details.origin).toMatchObject({ split: "valid", data: "data", results: null, epoch: null });
      expect(details.images_shown.every(({ file }) => file !== null && existsSync(resolve(folder, file)))).toBe(true);
      const pictures = readdirSync(join(folder, out, "pictures"));
      expect(pictures).toEqual(expect.arrayContaining(["pictures.json", "f1.svg", "validation-1.jpg"]));
      expect(stdout).toMatch(/^Measured on \d+ images? of valid, \d+ objects?, \d+ detections?, /m);
      const best = details.best_threshold.f1 > 0 ? ` --threshold ${details.best_threshold.threshold.toFixed(2)}` : "";
      const next = `next       npx rfdetr predict data/valid --weights ${weights}${best.replace(" --threshold 0.00", "")}`;
      expect(stdout.split("\n")).toContain(next);
      expect(stdout).toContain(`evaluation.json and ${pictures.length - 1} pictures are in ${out}`);
    },
  );

  it("gives the same analysis of a results file, says what costs most, and finds the images", () => {
    const { status, stdout } = rfdetr("val", ...writeResults(), "--out", "of-results", "--plain");
    expect([status, stdout.split("\n").slice(6)]).toEqual([
      0,
      [
        "Best threshold for all classes: 0.00 (F1 0.667, precision 1.000, recall 0.500)",
        "Missed objects cost most: 49.5 hundredths of AP50",
        "2 images, 2 objects, 1 detection",
        expect.stringMatching(/^evaluation\.json and \d+ pictures are in of-results$/),
        "",
      ],
    ]);
    const { errors, images_shown: shown } = readDetails(join(folder, "of-results", "evaluation.json"));
    expect(errors.costliest).toEqual({ kind: "missed", size: null, lost: expect.closeTo(50 / 101, 12) });
    expect(shown[0]).toMatchObject({ id: 2, worst: [{ kind: "missed", rank: 1 }] });
    expect(readdirSync(join(folder, "of-results", "pictures"))).toContain("worst-missed-1.jpg");
  });

  it("--json adds the analysis to the stock figures", () => {
    const figures = JSON.parse(rfdetr("val", ...writeResults(), "--json").stdout);
    expect(figures).toMatchObject({
      images: 2,
      AP_medium: -1,
      precision: null,
      per_class: [{ class_name: "bird", best: { recall: 0.5 }, errors: { missed: { count: 1 } } }],
      best_threshold: { threshold: 0, recall: 0.5 },
      errors: { kinds: { missed: { count: 1, sizes: { small: { count: 1 } } } } },
    });
    expect(figures).not.toHaveProperty("curves");
  });

  it("refuses the folder of a run or of another evaluation before it evaluates, and changes nothing", () => {
    const before = readFileSync(join(folder, "run", "evaluation.json"), "utf8");
    const { status, stdout, stderr } = rfdetr("val", ...writeResults(), "--out", "run", "--plain");
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^error: Expected an output folder without the files to write but run has evaluation\.json/);
    expect(readFileSync(join(folder, "run", "evaluation.json"), "utf8")).toBe(before);
    mkdirSync(join(folder, "mine", "pictures"), { recursive: true });
    expect(rfdetr("val", ...writeResults(), "--out", "mine").stderr).toContain("mine has pictures");
  });

  it("leaves no empty folder behind where it fails", () => {
    expect(rfdetr("val", "--weights", "nowhere.pth", "--data", "data", "--out", "a/b").status).toBe(1);
    expect(existsSync(join(folder, "a"))).toBe(false);
  });

  it("leaves no empty folder behind at Ctrl-C", async () => {
    const child = spawn(process.execPath, [script, "val", "--weights", "run", "--data", "data", "--out", "c/d"], {
      cwd: folder,
    });
    const ended = once(child, "exit");
    while (!existsSync(join(folder, "c", "d"))) await setTimeout(2);
    child.kill("SIGINT");
    expect([await ended, existsSync(join(folder, "c"))]).toEqual([[null, "SIGINT"], false]);
  });
});
