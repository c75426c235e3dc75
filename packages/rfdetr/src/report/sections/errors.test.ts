import { expect, it } from "vitest";
import { exampleDetails } from "../../testing/runs/example-details.js";
import type { RunRecord } from "../records/run-record.js";
import { errorAnalysis } from "./errors.js";

it("errors by size of the image say that it is the root of the area", () => {
  const details = exampleDetails();
  const groups = [{ from: 192.3, to: 291.7, images: 3, instances: 6, AP: 0.5, AP50: 1 }];
  details.properties.push({ property: "image_size", groups });
  const text = errorAnalysis({ details } as unknown as RunRecord)?.text;
  expect(text).toContain("Figures by size of the image: the root of its area, pixels");
});
