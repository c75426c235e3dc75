// rfdetr setup: the launcher does it before this program loads; here it has its place in the help.
import type { Command } from "commander";
import { exit, withOutputFlags } from "./context.js";

export function addSetup(program: Command, finish: (code: number) => void): void {
  withOutputFlags(
    program
      .command("setup")
      .description("prepare the engine; every other command does it when needed")
      .option("--cuda", "with CUDA kernels")
      .option("--libtorch <dir>", "use the libtorch in this folder"),
  ).action(() => finish(exit.done));
}
