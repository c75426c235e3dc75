// `rfdetr demo-page`
import { formatBytes } from "@rfdetr/amp/text";
import type { Command } from "commander";
import { isExported } from "../../onnx/exported-model.js";
import { UsageError } from "../../support/errors.js";
import { shownPath, unbroken } from "../../support/format.js";
import type { Console } from "../console/console.js";
import { serveCommand } from "../console/next-command.js";
import { checkPort, collect, consoleOf, exit, numeric, type OutputFlags, withOutputFlags } from "../context.js";
import { untilSignal } from "../signals.js";

interface DemoPageFlags extends OutputFlags {
  out?: string;
  gatherForm?: string;
  example?: string[];
  title?: string;
  serve: boolean;
  port?: number | string;
}

/** Registers `rfdetr demo-page`. */
export function addDemoPage(program: Command, finish: (code: number) => void): void {
  withOutputFlags(
    program
      .command("demo-page")
      .description("Write a page that shows what an exported detector finds: pictures, camera, video; for any server")
      .argument("<file>", "exported detector (.onnx); with --serve also the folder of a page")
      .option("--out <dir>", "folder for the page: a new one, or that of an earlier page")
      .option("--gather-form <file>", "the same detector, exported with --no-gridsample")
      .option("--example <image>", "picture to try it with; may be repeated", collect)
      .option("--title <text>", "heading of the page")
      .option("--serve", "serve the page to the browser of this machine until Ctrl-C", false)
      .option("--port <n>", "port to serve it on (default: 8080, or any that is free)", numeric),
  ).action(async (file: string, flags: DemoPageFlags) => {
    const { serve, port } = flags;
    checkPort(port);
    const console = consoleOf(flags);
    const isPage = serve && !isExported(file);
    const written = isPage ? { out: pageOf(file, flags) } : await writePage(console, file, flags);
    if (!serve) {
      if (console.json) console.data(written);
      console.fact(`try it: ${unbroken(serveCommand(written.out))}`);
    } else await servePage(console, written, port);
    finish(exit.done);
  });
}

async function writePage(
  console: Console,
  file: string,
  flags: DemoPageFlags,
): Promise<{ out: string; bytes: number }> {
  if (!isExported(file))
    throw new UsageError(`Expected an exported detector (.onnx) but received ${file}: rfdetr export makes one`);
  const { out, gatherForm, example, title } = flags;
  if (out === undefined) throw new UsageError("Expected a folder for the page but received none: give one with --out");
  const { writeDemoPage } = await import("../../onnx/demo-page.js");
  const bytes = writeDemoPage({
    file,
    out,
    ...(gatherForm === undefined ? {} : { gatherForm }),
    ...(example === undefined ? {} : { examples: example }),
    ...(title === undefined ? {} : { title }),
  });
  console.result(`${shownPath(out)}: a page of ${formatBytes(bytes)}, for any static server`);
  return { out, bytes };
}

/** The folder of a page that is there. @throws UsageError for a flag that would change it */
function pageOf(folder: string, { out, gatherForm, example, title }: DemoPageFlags): string {
  const given = Object.entries({ out, "gather-form": gatherForm, example, title }).find(
    ([, value]) => value !== undefined,
  );
  if (given !== undefined)
    throw new UsageError(`Expected an exported detector (.onnx) with --${given[0]} but received ${folder}`);
  return folder;
}

async function servePage(console: Console, written: { out: string }, port: number | undefined): Promise<void> {
  const { servePage } = await import("../../onnx/serve-page.js");
  const page = await servePage(written.out, port);
  if (console.json) console.data({ ...written, url: page.url, port: page.port });
  console.result(page.url);
  console.fact("only this machine can open it; Ctrl-C ends it");
  await untilSignal();
  await page.close();
}
