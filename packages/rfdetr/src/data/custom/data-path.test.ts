import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { writeCoco, writePicture } from "../../testing/dataset-files.js";
import { openDataset } from "../open-dataset.js";
import { dataPath, type GivenData, isGivenData } from "./data-path.js";

it("several datasets become a file that names them, the same for the same list", async () => {
  const home = mkdtempSync(join(tmpdir(), "data-path-"));
  await writeCoco(join(home, "pond"));
  await writePicture(join(home, "a.png"));
  const row = { image: join(home, "a.png"), boxes: [[6, 3, 18, 12]], labels: ["owl"] };
  const data: GivenData = [
    { path: join(home, "pond"), share: 2 },
    { path: { train: [row], valid: [row] }, share: 1 },
  ];
  const runs = join(home, "runs");
  const path = await dataPath(data, runs);
  expect(await dataPath(data, runs)).toBe(path);
  expect(readdirSync(runs)).toHaveLength(2);
  expect(JSON.parse(readFileSync(path, "utf8"))).toEqual({
    datasets: [
      { path: "../pond", share: 2 },
      { path: expect.stringMatching(/^gathered-/), share: 1 },
    ],
  });
  expect(openDataset(path, "train").images).toHaveLength(3);
  for (const [part, message] of [
    [{ path: "pond", weight: 2 }, 'Expected { path, share } for each of several datasets but received {"path":"pond"'],
    [{ path: "pond", share: 0 }, "Expected a share above 0 for each of several datasets but received 0"],
    ["pond", 'Expected { path, share } for each of several datasets but received "pond"'],
  ] as const)
    await expect(dataPath([part] as never, runs)).rejects.toThrow(message);
  await expect(dataPath([], runs)).rejects.toThrow("received an empty list");
  expect([isGivenData("pond"), isGivenData(data), isGivenData({ train: [] })]).toEqual([false, true, true]);
});
