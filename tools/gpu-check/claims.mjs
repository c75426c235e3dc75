// @ts-check
// Speed, memory and accuracy of every precision against float32 without TF32, and beside the Python package.
import { pythonPackage, rfdetr } from "./command.mjs";

const mebibytes = (bytes) => bytes / 2 ** 20;

export async function claims(report, { device, models, batch }) {
  if (device === "meta") return report.leave("it measures");
  for (const model of models) await claim(report, { device, model, batch });
}

async function claim(report, { device, model, batch }) {
  await report.step(`every precision of ${model} at batch ${batch}, beside float64`);
  const flags = ["--model", model, "--batch", String(batch), "--device", device, "--json"];
  const { precisions, recommended } = JSON.parse(await rfdetr(".", "doctor", ...flags));
  for (const row of precisions) {
    const name = `${model}, ${row.precision}`;
    const full = row.precision === "32-true";
    report.figure(`${name}: step`, row.step_seconds * 1000, "ms");
    report.figure(`${name}: speed, in parts of 32-true`, row.speedup, "×");
    report.figure(`${name}: tensors at the peak`, mebibytes(row.peak_tensor_bytes), "MiB");
    report.figure(`${name}: memory, in parts of 32-true`, row.memory_ratio, "×");
    // These bounds find faults. Proposals that are nearly equal change places in low precision, and other queries get
    // the gradient: the second figure has the same choices as float64.
    report.figure(`${name}: cosine of the gradients to float64`, row.gradient_cosine, "");
    report.atLeast(`${name}: the same at the same choices`, row.rounding_cosine, full ? 0.999 : 0.98);
    report.atMost(`${name}: loss, relative error to float64`, row.loss_error, full ? 1e-3 : 5e-2);
    report.holds(`${name}: everything is finite`, !row.nonfinite);
  }
  report.figure(`recommended for ${model}`, null, "", `${recommended.precision}: ${recommended.reason}`);
}

export async function besidePython(report, { device, models: [model], batch, quick, python }) {
  if (device === "meta" || quick || python === undefined)
    return report.leave("it takes --python with a Python that has rfdetr 1.11.2, and not the quick form");
  const precisions = ["32-true", ...(device === "cpu" ? [] : ["tf32"]), "bf16-mixed"];
  const counts = ["--steps", "20", "--warmup", "5"];
  for (const precision of precisions) {
    const flags = ["train", "--model", model, "--batch", String(batch), "--device", device, ...counts];
    const theirs = [];
    const ours = [];
    for (const round of [1, 2]) {
      await report.step(`${precision}, both programs in turns, round ${round} of 2`);
      theirs.push(JSON.parse(await pythonPackage(python, ...flags, "--precision", precision)));
      ours.push(JSON.parse(await rfdetr(".", "bench", ...flags, "--precision", precision, "--json")));
    }
    const seconds = (list) => Math.min(...list.map((each) => each.seconds.step.median));
    report.figure(`${precision}: step of the package`, seconds(theirs) * 1000, "ms");
    report.figure(`${precision}: step here`, seconds(ours) * 1000, "ms");
    report.figure(`${precision}: speed, in parts of the package`, seconds(theirs) / seconds(ours), "×");
    for (const [who, list] of Object.entries({ "of the package": theirs, here: ours }))
      if (list[0].peak_tensor_bytes !== undefined)
        report.figure(`${precision}: tensors at the peak ${who}`, mebibytes(list[0].peak_tensor_bytes), "MiB");
  }
}
