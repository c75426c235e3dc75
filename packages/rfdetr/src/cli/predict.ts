// `rfdetr predict`
import { extname } from "node:path";
import type { Command } from "commander";
import {
  consoleOf,
  exit,
  numeric,
  type OutputFlags,
  oneOf,
  precisions,
  share,
  weightsPath,
  withOutputFlags,
} from "./context.js";

interface PredictFlags extends OutputFlags {
  weights: string;
  threshold: number | string;
  precision: string;
  out?: string;
  device: string;
}

/** Registers `rfdetr predict`. */
export function addPredict(program: Command, finish: (code: number) => void): void {
  withOutputFlags(
    program
      .command("predict")
      .description("Detect objects in images and draw them")
      .argument("<image...>", "images, folders, or patterns such as 'photos/**/*.jpg'")
      .requiredOption("--weights <file>", "trained weights: a file, or the name of published ones such as nano")
      .option("--threshold <x>", "lowest score to report", numeric, 0.5)
      .option("--precision <p>", "auto, 32-true, bf16-mixed or 16-mixed", "auto")
      .option("--device <d>", "auto, cpu or cuda:N", "auto")
      .option(
        "--out <dir>",
        "folder for the pictures, which keeps what is in it (default: a new folder predictions; with --json: none)",
      ),
  ).action(async (inputs: string[], flags: PredictFlags) => finish(await predict(inputs, flags)));
}

async function predict(inputs: readonly string[], flags: PredictFlags): Promise<number> {
  const threshold = share("threshold", flags.threshold);
  const precision = oneOf("precision", flags.precision, precisions);
  const { imageFiles } = await import("../predict/inputs.js");
  const files = imageFiles(inputs);
  const console = consoleOf(flags);
  const { Predictor } = await import("../predict/predict.js");
  const { drawDetections } = await import("../predict/draw.js");
  const { OutputFolder, pictureNames } = await import("../predict/outputs.js");
  const names = pictureNames(files);
  const folder = flags.out === undefined && console.json ? null : OutputFolder.open(flags.out ?? null, names);
  const predictor = Predictor.load(await weightsPath(console, flags.weights), { precision, device: flags.device });
  const images: unknown[] = [];
  let found = 0;
  for (const [index, file] of files.entries()) {
    console.live(`${index + 1}/${files.length} ${file}`);
    const { width, height, detections } = await predictor.detect(file, { threshold });
    found += detections.length;
    if (folder !== null)
      folder.write(names[index], await drawDetections(file, detections, { format: formatOf(names[index]) }));
    if (console.json)
      images.push({
        file,
        width,
        height,
        detections: detections.map(({ box, score, classId, className }) => ({
          box,
          score,
          class_id: classId,
          class_name: className,
        })),
      });
    else
      console.result(
        `${file}: ${detections.length === 0 ? "nothing" : detections.map(({ className, score }) => `${className} ${score.toFixed(2)}`).join(", ")}`,
      );
  }
  console.end();
  if (console.json) console.data({ images });
  console.result(
    `${found} objects in ${files.length} ${files.length === 1 ? "image" : "images"}${folder === null ? "" : `, drawn into ${folder.path}`}`,
  );
  return exit.done;
}

/** The format that the name of a picture asks for. */
function formatOf(name: string): "png" | "jpeg" | "webp" {
  const extension = extname(name).toLowerCase();
  return extension === ".png" ? "png" : extension === ".webp" ? "webp" : "jpeg";
}
