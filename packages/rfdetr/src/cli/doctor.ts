// rfdetr doctor
import type { Command } from "commander";
import { machineLine } from "../run/machine.js";
import { consoleOf, exit, type OutputOptions, withOutputOptions } from "./context.js";

export function addDoctor(program: Command, finish: (code: number) => void): void {
  withOutputOptions(program.command("doctor").description("show engine, hardware and the precision that fits them").option("--device <d>", "auto, cpu or cuda:N", "auto")).action(
    async (options: OutputOptions & { device: string }) => {
      const console = consoleOf(options);
      const { engine, getNumThreads } = await import("@rfdetr/torch");
      const { resolvePrecision } = await import("@rfdetr/amp");
      const { resolveDevice } = await import("../run/device.js");
      const device = resolveDevice(options.device);
      const { version, capability, cuda } = engine();
      const { precision, reason } = resolvePrecision("auto", device);
      const report = {
        engine: { libtorch: version, capability, cuda, threads: getNumThreads(), node: process.version },
        hardware: machineLine(),
        recommended: { precision, reason },
        precisions: [],
        evaluation: [],
      };
      if (console.json) console.data(report);
      console.line(`engine     libtorch ${version}, ${capability}${cuda ? ", CUDA" : ""}, ${getNumThreads()} threads; Node ${process.version}`);
      console.line(`hardware   ${report.hardware}`);
      console.line(`precision  ${console.bold(precision)}: ${reason}`);
      finish(exit.done);
    },
  );
}
