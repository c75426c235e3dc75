// Exports a model for tests, with goldens of its own forward pass.

import { noGrad, scope } from "@rfdetr/torch";
import { makeGraph } from "../export/graph/make-graph.js";
import { maskLogits } from "../export/graph/mask-logits.js";
import { writeOnnx } from "../export/write-onnx.js";
import { imagesToTensor, normalise_ } from "../model/images/preprocess.js";
import type { RFDETRModel } from "../model/rfdetr.js";
import { goldenPixels, goldenQueries } from "../onnx/goldens.js";
import { type ExportMetadata, metadataEntries, preprocessing } from "../onnx/metadata.js";
import { sidesOf } from "../support/shape.js";

/** Writes the file of a model. @returns its path */
export function exportForTest(
  path: string,
  model: RFDETRModel,
  classNames: readonly string[],
  changes: Partial<ExportMetadata> = {},
): string {
  model.eval();
  const { resolution: side, numSelect, variant, segmentationHead, maskDownsampleRatio } = model.config;
  const [height, width] = changes.resolution ?? sidesOf(side);
  const cases = [1, 2].map((seed) =>
    noGrad(() =>
      scope(() => {
        const images = normalise_(imagesToTensor(goldenPixels(seed, height, width), 1, height, width));
        const { predBoxes, predLogits, predMasks } = model.call(images);
        const raw = { boxes: predBoxes.toArray() as Float32Array, logits: predLogits.toArray() as Float32Array };
        if (predMasks === undefined) return { seed, queries: goldenQueries(raw) };
        const dense = maskLogits(predMasks);
        const masks = { logits: dense.toArray() as Float32Array, height: dense.shape[2], width: dense.shape[3] };
        return { seed, queries: goldenQueries({ ...raw, masks }) };
      }),
    ),
  );
  const metadata: ExportMetadata = {
    variant,
    numSelect,
    masks: segmentationHead ? [height / maskDownsampleRatio, width / maskDownsampleRatio] : null,
    resolution: [height, width],
    classNames: [...classNames],
    precision: "fp32",
    trainingPrecision: "32-true",
    thresholds: null,
    AP50: null,
    version: "0.1.0",
    licence: "Apache-2.0",
    proof: null,
    preprocessing,
    goldens: { tolerance: { box_px: 0.05, score: 0.001, mask: 0.01 }, cases },
    ...changes,
  };
  const graph = makeGraph(model, { batch: 1, height, width });
  writeOnnx(graph, path, { path: `${path}.data` }, { metadata: metadataEntries(metadata), version: "0.1.0" });
  return path;
}
