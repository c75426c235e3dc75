// Every step of the way down, with runtimes that fail as those of browsers do. The results are those of a real runtime.
import { InferenceSession, Tensor } from "onnxruntime-node";
import { beforeAll, describe, expect, it } from "vitest";
import { errorInWords, goldenPixels, goldenQueries, type RawOutputs } from "../onnx/goldens.js";
import { type ExportMetadata, metadataEntries } from "../onnx/metadata.js";
import { toPlanes } from "../onnx/pixels.js";
import { smallOnnx } from "../testing/onnx-file.js";
import type { Backend, Runtime, Session } from "./backend.js";
import { chooseBackend } from "./choose-backend.js";

const shape = {
  size: [32, 64],
  cell: 16,
  rows: [
    [2, 0, -1],
    [0, 1, 1],
    [-1, -1, 0],
  ],
} as const;
const preprocessing = {
  mean: [0.5, 0.5, 0.5],
  std: [0.5, 0.5, 0.5],
  resize: "bilinear",
  antialias: true,
  layout: "NCHW",
} as const;
let withGoldens: Uint8Array;
const without = smallOnnx(shape);
const gatherForm = smallOnnx({ ...shape, producer: "gather" });

async function open(file: Uint8Array): Promise<Session> {
  const session = await InferenceSession.create(file);
  const [input] = session.inputMetadata;
  const labels = session.outputMetadata.find(({ name }) => name === "labels");
  return {
    inputShape: input.isTensor ? input.shape : undefined,
    labelsShape: labels?.isTensor ? labels.shape : undefined,
    async run(values, dims): Promise<RawOutputs> {
      const { dets, labels } = await session.run({ input: new Tensor("float32", values, dims) });
      return { boxes: dets.data as Float32Array, logits: labels.data as Float32Array };
    },
    release: () => session.release(),
  };
}

/** A browser whose GPU is missing, or changes the results of some files. */
function browser(gpu: {
  missing?: string;
  refuses?: boolean;
  spoils?: (file: Uint8Array) => boolean;
  how?: number;
}): Runtime {
  return {
    threads: 4,
    missing: async (backend) => (backend === "webgpu" ? (gpu.missing ?? null) : null),
    async open(file: Uint8Array, backend: Backend) {
      const isGpu = backend === "webgpu";
      if (isGpu && gpu.refuses && file !== gatherForm)
        throw new Error("Unsupported operator GridSample\n    at somewhere");
      const session = await open(file);
      if (!isGpu || !gpu.spoils?.(file)) return session;
      const run: Session["run"] = async (values, dims) => {
        const { boxes, logits } = await session.run(values, dims);
        return { boxes: boxes.map((side) => side + (gpu.how ?? 0.25)), logits };
      };
      return { ...session, run };
    },
  };
}

beforeAll(async () => {
  const { run } = await open(without);
  const pixels = goldenPixels(5, 32, 64);
  const queries = goldenQueries(
    await run(toPlanes([pixels], { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] }), [1, 3, 32, 64]),
  );
  const metadata: ExportMetadata = {
    variant: "small",
    resolution: [32, 64],
    classNames: ["a", "b"],
    numSelect: 8,
    masks: null,
    precision: "fp32",
    trainingPrecision: null,
    thresholds: null,
    AP50: null,
    version: "0.1.0",
    licence: "Apache-2.0",
    proof: null,
    preprocessing: { ...preprocessing, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
    goldens: { tolerance: { box_px: 0.01, score: 1e-4 }, cases: [{ seed: 5, queries }] },
  };
  withGoldens = smallOnnx({ ...shape, metadata: metadataEntries(metadata) });
});

const gather = async () => gatherForm;

describe("a browser", () => {
  it("takes WebGPU where it gives the golden results, and says how near", async () => {
    const { attempts, model } = await chooseBackend(withGoldens, gather, browser({}));
    expect(attempts).toEqual([
      { backend: "webgpu", form: "file", reason: null, error: { boxPx: 0, score: 0, holds: true } },
    ]);
    expect(model.classNames).toEqual(["a", "b"]);
  });

  it("takes WebAssembly where there is no WebGPU, without fetching the gather form", async () => {
    const fetched = () => Promise.reject(new Error("it was fetched"));
    const { attempts } = await chooseBackend(withGoldens, fetched, browser({ missing: "this browser has no WebGPU" }));
    expect(attempts.map(({ backend, reason }) => [backend, reason])).toEqual([
      ["webgpu", "this browser has no WebGPU"],
      ["wasm", null],
    ]);
  });

  it("takes the gather form where WebGPU lacks an operator", async () => {
    const { attempts } = await chooseBackend(withGoldens, gather, browser({ refuses: true }));
    expect(attempts).toEqual([
      { backend: "webgpu", form: "file", reason: "Unsupported operator GridSample", error: null },
      { backend: "webgpu", form: "gather form", reason: null, error: { boxPx: 0, score: 0, holds: true } },
    ]);
  });

  it("takes the gather form where WebGPU computes an operator wrongly", async () => {
    const { attempts } = await chooseBackend(withGoldens, gather, browser({ spoils: (file) => file === withGoldens }));
    expect(attempts.map(({ form, reason }) => [form, reason])).toEqual([
      ["file", "its results are wrong, boxes 16 px, scores 0 off"],
      ["gather form", null],
    ]);
  });

  it.each([
    ["wrong", 0.25, /^its results are wrong, boxes 16 px/],
    ["not finite", Number.NaN, /^its results are wrong, not finite$/],
  ])("takes WebAssembly where WebGPU is %s in every form", async (_, how, reason) => {
    const { attempts } = await chooseBackend(withGoldens, gather, browser({ spoils: () => true, how }));
    expect(attempts.map(({ backend, form }) => [backend, form])).toEqual([
      ["webgpu", "file"],
      ["webgpu", "gather form"],
      ["wasm", "file"],
    ]);
    expect(attempts[0].reason).toMatch(reason);
    expect(attempts[1].reason).toMatch(reason);
    expect(attempts[2]).toMatchObject({ reason: null, error: { holds: true } });
  });

  it("takes what it is told to, and gives every reason where nothing is right", async () => {
    const wasm = await chooseBackend(withGoldens, gather, browser({}), { backend: "wasm" });
    expect(wasm.attempts).toHaveLength(1);
    const all = browser({ spoils: () => true });
    await expect(chooseBackend(withGoldens, gather, all, { backend: "webgpu" })).rejects.toThrow(
      /none gives its results \(WebGPU: its results are wrong, .*; WebGPU with the gather form: its results are wrong/,
    );
  });

  it("cannot check a file without goldens, and says so", async () => {
    const { attempts, model } = await chooseBackend(without, null, browser({ spoils: () => true }));
    expect(attempts).toEqual([{ backend: "webgpu", form: "file", reason: null, error: null }]);
    expect(model).toMatchObject({ resolution: [32, 64], classNames: null, batch: null });
  });

  it("refuses what is no exported file", async () => {
    await expect(chooseBackend(new TextEncoder().encode("<html>"), null, browser({}))).rejects.toThrow();
  });
});

describe("errorInWords", () => {
  it("is short", () => {
    expect(errorInWords({ boxPx: 0.01234, score: 0 })).toBe("boxes 0.012 px, scores 0 off");
    expect(errorInWords({ boxPx: 3.2e-7, score: 1.5e-8 })).toBe("boxes 3.2 × 10⁻⁷ px, scores 1.5 × 10⁻⁸ off");
    expect(errorInWords({ boxPx: Number.NaN, score: 0 })).toBe("not finite");
  });
});
