// The process of one measurement: see own-process.ts.
import { packError } from "../../support/error-transfer.js";
import { letThreadsSleep } from "../../support/machine/openmp.js";
import { refuseTelemetry } from "../../support/machine/telemetry.js";
import type { BenchReply, BenchRequest } from "./own-process.js";

letThreadsSleep();
refuseTelemetry();

process.once("message", async (request: BenchRequest) => {
  const reply: BenchReply = await measured(request).then(
    (result) => ({ result }),
    (error) => ({ error: packError(error) }),
  );
  process.send?.(reply, () => process.disconnect());
});
process.once("disconnect", () => process.exit());

/** Modules are loaded as late as this, since libtorch reads its settings when it loads. */
async function measured({ kind, options }: BenchRequest) {
  if (kind === "train") return (await import("./bench-train.js")).benchTrain(options);
  if (kind === "infer") return (await import("./bench-infer.js")).benchInfer(options);
  return (await import("./bench-load.js")).benchLoad(options);
}
