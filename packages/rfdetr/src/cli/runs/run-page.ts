// The page of a run's detector: its weights exported in both forms.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { hasWebRuntime } from "../../onnx/web-runtime.js";
import { scratchFolder } from "../../support/files/scratch.js";
import type { Console } from "../console/console.js";

/**
 * Exports weights and writes the page that shows what they find.
 * @param weights of a run of this program
 * @param examples pictures to try it with
 * @param out folder of the page
 * @returns whether it was written: not where onnxruntime-web is not installed
 */
export async function writeRunPage(
  console: Console,
  weights: string,
  examples: readonly string[],
  { out, title }: { out: string; title: string },
): Promise<boolean> {
  if (!hasWebRuntime()) return false;
  const { writeDemoPage } = await import("../../onnx/demo-page.js");
  const { exportOnnx } = await import("../../export/export-onnx.js");
  const folder = scratchFolder("page");
  const exportAs = async (name: string, gridSample: boolean): Promise<string> => {
    const asked = { weights, out: join(folder, name), precision: "fp32", batch: 1, gridSample } as const;
    return (await exportOnnx(asked)).out;
  };
  try {
    console.live("exporting the detector for the browser");
    const file = await exportAs("model.onnx", true);
    const gatherForm = await exportAs("model-gathers.onnx", false);
    writeDemoPage({ file, gatherForm, out, examples, title });
    return true;
  } finally {
    console.end();
    rmSync(folder, { recursive: true });
  }
}
