// `rfdetr demo-page`
import { formatBytes } from "@rfdetr/amp/text";
import type { Command } from "commander";
import { isExported } from "../../onnx/exported-model.js";
import { UsageError } from "../../support/errors.js";
import { shownPath } from "../../support/format.js";
import { collect, consoleOf, exit, type OutputFlags, withOutputFlags } from "../context.js";

interface DemoPageFlags extends OutputFlags {
  out: string;
  gatherForm?: string;
  example?: string[];
  title?: string;
}

/** Registers `rfdetr demo-page`. */
export function addDemoPage(program: Command, finish: (code: number) => void): void {
  withOutputFlags(
    program
      .command("demo-page")
      .description("Write a page that shows what an exported detector finds: pictures, camera, video; for any server")
      .argument("<file>", "exported detector (.onnx)")
      .requiredOption("--out <dir>", "folder for the page: a new one, or that of an earlier page")
      .option("--gather-form <file>", "the same detector, exported with --no-gridsample")
      .option("--example <image>", "picture to try it with; may be repeated", collect)
      .option("--title <text>", "heading of the page"),
  ).action(async (file: string, flags: DemoPageFlags) => {
    if (!isExported(file))
      throw new UsageError(`Expected an exported detector (.onnx) but received ${file}: rfdetr export makes one`);
    const { writeDemoPage } = await import("../../onnx/demo-page.js");
    const console = consoleOf(flags);
    const { out, gatherForm, example, title } = flags;
    const bytes = writeDemoPage({
      ...{ file, out },
      ...(gatherForm === undefined ? {} : { gatherForm }),
      ...(example === undefined ? {} : { examples: example }),
      ...(title === undefined ? {} : { title }),
    });
    if (console.json) console.data({ out, bytes });
    console.result(`${shownPath(out)}: a page of ${formatBytes(bytes)}, for any static server`);
    console.fact(`try it: npx http-server ${shownPath(out)}, or python3 -m http.server -d ${shownPath(out)}`);
    finish(exit.done);
  });
}
