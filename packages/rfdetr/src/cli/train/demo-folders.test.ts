import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { checkMasks, demoEpochs, demoImages, demoNotes, demoPlace } from "./demo-folders.js";

const root = mkdtempSync(join(tmpdir(), "demo-"));
const before = process.cwd();
process.chdir(root);
afterAll(() => {
  process.chdir(before);
  rmSync(root, { recursive: true });
});

function folder(path: string, files: Record<string, unknown>): string {
  mkdirSync(path, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(path, name, ".."), { recursive: true });
    writeFileSync(join(path, name), JSON.stringify(content));
  }
  return path;
}
const run = (settings: object, reason?: string) => ({
  "config.json": { settings: { model: "demo", dataset_dir: "images", ...settings } },
  "checkpoint/state.json": {},
  ...(reason === undefined ? {} : { "summary.json": { stop_reason: reason } }),
});

describe("the folder of a demo run", () => {
  it("is never one that holds something else, and nothing there is touched", () => {
    const project = folder("project", { "config.json": {}, "src/thesis.txt": "mine" });
    expect(() => demoPlace(project, "images")).toThrow("project is neither: nothing in it was changed");
    expect(readdirSync(join(project, "src"))).toEqual(["thesis.txt"]);
    expect(readFileSync(join(project, "config.json"), "utf8")).toBe("{}");
    writeFileSync("file", "");
    expect(() => demoPlace("file", "images")).toThrow("file is neither");
  });

  it("is never that of a training of the same model, finished or interrupted", () => {
    for (const [name, reason] of [
      ["finished", "finished"],
      ["interrupted", "interrupted"],
      ["killed", undefined],
    ] as const)
      expect(() => demoPlace(folder(name, run({ notes: null }, reason)), "images")).toThrow("is neither");
  });

  it("is that of a demo run which was interrupted, on the same images", () => {
    const interrupted = folder("own", run({ notes: demoNotes }, "interrupted"));
    expect(demoPlace(interrupted, "images")).toEqual({ folder: interrupted, resume: true });
    expect(() => demoPlace(interrupted, "other")).toThrow("is neither");
    expect(() => demoPlace(interrupted, "images", "seg-demo")).toThrow("is neither");
    expect(() => demoPlace(folder("done", run({ notes: demoNotes }, "finished")), "images")).toThrow("is neither");
  });

  it("is by default a new one beside those that are there", () => {
    expect(demoPlace(undefined, "images")).toEqual({ folder: join("runs", "emoji-demo"), resume: false });
    folder("runs/emoji-demo", run({ notes: demoNotes }, "finished"));
    folder("runs/emoji-demo-2", { "notes.txt": "mine" });
    expect(demoPlace(undefined, "images")).toEqual({ folder: join("runs", "emoji-demo-3"), resume: false });
    folder("runs/emoji-demo-3", run({ notes: demoNotes }, "interrupted"));
    expect(demoPlace(undefined, "images")).toEqual({ folder: join("runs", "emoji-demo-3"), resume: true });
  });
});

describe("the images of the demo", () => {
  const emoji = {
    "train/_annotations.coco.json": { info: { description: "Synthetic emoji, seed 3" }, images: [1, 2] },
  };

  it("are used again if they are the demo's", () => {
    expect(demoImages("nowhere", {})).toBeNull();
    expect(demoImages(folder("emoji", emoji), {})).toEqual({ images: 2, seed: 3 });
    expect(demoImages("emoji", { images: 2, seed: 3 })).toEqual({ images: 2, seed: 3 });
  });

  it("are not those of another number or seed, and never those of a user", () => {
    expect(() => demoImages(folder("emoji", emoji), { images: 60 })).toThrow(
      "Expected images 60 but emoji was made with images 2",
    );
    expect(() => demoImages("emoji", { seed: 0 })).toThrow("Expected seed 0 but emoji was made with seed 3");
    expect(() => demoImages(folder("birds", { "train/_annotations.coco.json": { images: [] } }), {})).toThrow(
      "birds holds something else",
    );
    expect(() => demoImages(folder("photos", { "a.jpg": 1 }), {})).toThrow("photos holds something else");
  });
});

describe("the epochs of the demo", () => {
  it.each([
    [1500, 2000, 11],
    [60, 150, 19],
    [60, 30, 4],
    [3, 1, 1],
    // An epoch has five steps at least.
    [24, 8, 2],
  ])("of %i images hold %i steps", (images, steps, epochs) => {
    expect(demoEpochs(images, 8, steps)).toBe(epochs);
  });
});

describe("masks of the images of the demo", () => {
  it("are needed for every object", () => {
    const name = "train/_annotations.coco.json";
    const segmentation = { size: [2, 2], counts: "04" };
    const whole = folder("masks", { [name]: { annotations: [{ segmentation }, { segmentation }] } });
    expect(() => checkMasks(whole)).not.toThrow();
    const part = folder("few-masks", { [name]: { annotations: [{ segmentation }, {}] } });
    expect(() => checkMasks(part)).toThrow(
      `Expected masks in ${join(part, name)} but it has objects without: choose a new folder with --data`,
    );
  });
});
