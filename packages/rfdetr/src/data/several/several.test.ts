import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { annotationsOf, writeCoco } from "../../testing/dataset-files.js";
import { checkDataset } from "../check/check-dataset.js";
import { hasSplit, openDatasets } from "../open-dataset.js";

const home = mkdtempSync(join(tmpdir(), "several-"));
const list = (content: unknown, name = "list.json"): string => {
  const path = join(home, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
};

/** Renames the classes of a dataset: duck and owl before. */
function rename(folder: string, names: string[]): void {
  for (const split of ["train", "valid"]) {
    const file = annotationsOf(folder, split);
    const content = JSON.parse(readFileSync(file, "utf8"));
    content.categories.forEach((category: { name: string }, i: number) => {
      category.name = names[i];
    });
    writeFileSync(file, JSON.stringify(content));
  }
}

describe("several datasets", () => {
  beforeAll(async () => {
    for (const name of ["pond", "wood", "shore"]) await writeCoco(join(home, name));
    rename(join(home, "wood"), ["owl", "heron"]);
    rename(join(home, "shore"), ["Owl", "gull"]);
    await writeCoco(join(home, "isle"));
    rename(join(home, "isle"), ["Gull", "gull"]);
  });

  it("are joined: classes by name, images side by side with new ids, shares out of one", () => {
    const path = list("datasets:\n  - { path: pond, share: 3 }\n  - { path: ./wood, share: 1 }\n", "list.yaml");
    const [train, valid] = openDatasets(path, ["train", "valid"]);
    expect(train.classNames).toEqual(["duck", "owl", "heron"]);
    expect(train.parts).toEqual([
      { path: join(home, "pond"), share: 0.75, from: 0, to: 2 },
      { path: join(home, "wood"), share: 0.25, from: 2, to: 4 },
    ]);
    expect(train.images.map(({ id }) => id)).toEqual([0, 1, 2, 3]);
    expect(train.images.map(({ labels }) => [...labels])).toEqual([[1, 0], [0], [2, 1], [1]]);
    expect(valid.images).toHaveLength(4);
    expect(train.warnings).toContainEqual(
      `${join(home, "pond")} does not have 1 class of the others (heron): what its images show of them is learned as background`,
    );
    expect(hasSplit(path, "valid")).toBe(true);
    expect(hasSplit(path, "test")).toBe(false);
  });

  it("keep classes apart that one of them spells in two ways", () => {
    const [train] = openDatasets(list({ datasets: [{ path: "pond" }, { path: "isle" }] }), ["train"]);
    expect(train.classNames).toEqual(["duck", "owl", "Gull", "gull"]);
    expect(train.images.map(({ labels }) => [...labels])).toEqual([[1, 0], [0], [3, 2], [2]]);
  });

  it("need no shares", () => {
    const [train] = openDatasets(list({ datasets: [{ path: "pond" }, { path: "wood" }] }), ["train"]);
    expect(train.parts?.map(({ share }) => share)).toEqual([null, null]);
  });

  it.each([
    [
      [{ path: "pond" }, { path: "shore" }, { path: "wood" }],
      /has "Owl" .*has "owl"|has "owl" and .* has "Owl": rename one of them/,
    ],
    [
      [{ path: "pond", share: 1 }, { path: "wood" }],
      /Expected a share for every dataset of .*, or for none, but wood has none/,
    ],
    [[{ path: "pond", share: -1 }], /Expected a number above 0 for datasets.0.share but received -1/],
    [[{ path: "pond" }, { path: "./pond/" }], /Expected each dataset once in .* but .*pond is there twice/],
    [[{ folder: "pond" }], /for datasets.0.path but received nothing|Expected another value for datasets.0/],
    [[], /for datasets but received \[\]/],
    [[{ path: "list.yaml" }], /lists datasets itself: name them in one list/],
    [[{ path: "nowhere" }], /nowhere does not exist/],
  ])("are refused as %j", (datasets, message) => {
    expect(() => openDatasets(list({ datasets }), ["train"])).toThrow(message);
  });

  it("are checked one by one", async () => {
    await expect(checkDataset(join(home, "list.yaml"))).rejects.toThrow(
      `Expected one dataset but ${join(home, "list.yaml")} lists 2: look at each of`,
    );
    expect(() => openDatasets(join(home, "list.yaml"), ["test"])).toThrow(
      /Expected a test split in one of .* but none has it/,
    );
  });
});
