// `rfdetr setup`: the launcher does the work before this program loads; this entry is for the help.
import type { Command } from "commander";
import { exit, withOutputFlags } from "./context.js";

/** Registers `rfdetr setup`. */
export function addSetup(program: Command, finish: (code: number) => void): void {
  withOutputFlags(
    program
      .command("setup")
      .description("Install the engine; every other command does so when needed")
      .option("--cuda", "with CUDA kernels")
      .option("--libtorch <dir>", "use the libtorch in this folder from now on; auto forgets it")
      .option("--no-prebuilt", "compile the addon, even where the package brings one that serves"),
  ).action(() => finish(exit.done));
}
