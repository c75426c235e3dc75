import { Writable } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { StepEvent, TrainEvent } from "../../run/events/events.js";
import { testTerminal } from "../../testing/pages/terminal.js";
import { epochEvent, runSummary, skippedEvent, startEvent, stepEvent } from "../../testing/runs/run-events.js";
import { Console, type ConsoleOptions } from "../console/console.js";
import { TrainConsole } from "./train-console.js";

beforeEach(() => {
  for (const name of ["CI", "NO_COLOR", "FORCE_COLOR"]) vi.stubEnv(name, "");
  vi.stubEnv("TERM", "xterm-256color");
  return () => vi.unstubAllEnvs();
});

const result = {
  dir: "runs/nano",
  best: "runs/nano/weights/best.safetensors",
  last: null,
  endedBefore: false,
  summary: runSummary,
};
const done = { type: "done", ...result } as const;
/** A short run. The clock of the console stands a second later at each event. */
const run: TrainEvent[] = [
  { ...startEvent, weights: null, classes: ["鴉", "梟"], precisionNote: "This CPU has no float16 matrix units." },
  { type: "note", message: "The batch size is 16: as many as fit" },
  stepEvent,
  skippedEvent,
  { type: "evaluation", images: 17, totalImages: 250 },
  epochEvent,
  { type: "warning", message: "An image is left out. 鳥.jpg does not decode" },
  { ...epochEvent, epoch: 2, best: false },
];

interface Shown extends Partial<ConsoleOptions> {
  pause?: number;
}

/** Shows events on a stream, with a clock that moves on at each of them. */
function show(stream: Writable, events: readonly TrainEvent[], { pause = 1000, ...options }: Shown = {}): TrainConsole {
  let now = new Date(2026, 0, 1, 12, 0).getTime();
  const view = new TrainConsole(new Console(options, { out: stream, err: stream }), () => new Date(now));
  for (const event of events) {
    view.show(event);
    now += pause;
  }
  return view;
}

/** What a pipe receives of events. */
function piped(events: readonly TrainEvent[], options: Shown = {}): string[] {
  let text = "";
  const pipe = new Writable({ write: (chunk, _, next) => (text += String(chunk)) && next() });
  show(pipe, events, options);
  return text.trimEnd().split("\n");
}

describe("a run on a terminal", () => {
  it("is a header, a row an epoch, and the live line below", async () => {
    const terminal = testTerminal(100);
    show(terminal, [...run, { ...stepEvent, epoch: 3 }]);
    expect(await terminal.rows()).toEqual([
      "rfdetr 0.1.0, new run (libtorch 2.15.0, Node 20.20.2)",
      "model      nano at 384 px, 30,467,298 parameters",
      "data       birds: 1,500 training and 250 validation images",
      "           2 classes: 鴉, 梟",
      "weights    random weights: the model has learnt nothing yet and learns from these images alone",
      "schedule   50 epochs of 94 steps, 16 images a step (4 micro-batches of 4); seed 3",
      "           learning rate 0.0002 (lr), of the encoder 0.00015 (lr_encoder)",
      "device     cpu, 1 thread; 2 × EPYC",
      "precision  16-mixed: as requested",
      "           This CPU has no float16 matrix units.",
      "run        runs/nano",
      "watch      npx rfdetr dash runs/nano",
      "warning: Random weights take many thousand images and hours: fine-tuning usually starts from",
      "  --weights coco",
      "note: The batch size is 16: as many as fit",
      "step 214 skipped, loss scale 65536 → 32768: gradient of class_embed.weight not finite, began in",
      "  transformer.decoder.layers.1.cross_attn",
      "",
      "  epoch    step     loss val loss     AP   AP50   AP75    scale  skipped   img/s     time",
      "   1/50      94   10.500   11.250  0.500  0.700      –    65536        2    12.3     1:05  best",
      "warning: An image is left out. 鳥.jpg does not decode",
      "   2/50      94   10.500   11.250  0.500  0.700      –    65536        2    12.3     1:05",
      " 1:02:03 left (13:02) · epoch 3/50 ━━╸─────── 28 % · loss 12.346 · 12 img/s",
    ]);
  });

  it.each([40, 60, 72, 80, 120, 200])("fits %i columns", async (columns) => {
    const terminal = testTerminal(columns);
    show(terminal, [...run, stepEvent]);
    const rows = await terminal.rows();
    // A row that was broken by the terminal would be followed by the rest of it.
    const path = "transformer.decoder.layers.1.cross_attn";
    expect(rows.filter((row) => /^\S*(oder|attn|ayers)\S*/.test(row) && !row.includes(path))).toEqual([]);
    expect(rows.at(-1)).toMatch(/^ 1:02:03 left \(13:02\) · epoch 3\/50/);
    const titles = rows.findIndex((row) => row.startsWith("  epoch "));
    expect(rows[titles + 1]).toMatch(/^ {3}1\/50 .* 1:05 {2}best$/);
    expect(rows[titles + 1].indexOf("1:05")).toBe(rows[titles].lastIndexOf("time"));
  });

  it("ends without the live line, with the result and the next command", async () => {
    const terminal = testTerminal(100);
    const view = show(terminal, [...run, stepEvent, done]);
    view.ending(result);
    const rows = await terminal.rows();
    expect(rows.slice(rows.findIndex((row) => row.startsWith("   2/50")) + 1)).toEqual([
      "",
      "result     AP 0.512, AP50 0.700 in epoch 41 of 50, the best",
      "run        finished after 4,700 steps (2 skipped)",
      "           1:02:03 of training in 16-mixed, peak memory 2.10 GiB",
      "weights    runs/nano/weights/best.safetensors (best, of epoch 41)",
      "next       npx rfdetr predict IMAGE --weights runs/nano",
      "           IMAGE is a picture, a folder of pictures or a video",
    ]);
  });

  it("leaves nothing behind when it becomes narrower and wider while the run goes on", async () => {
    const terminal = testTerminal(120);
    const view = show(terminal, [startEvent, stepEvent]);
    for (const columns of [50, 30, 90, 140]) {
      await terminal.resize(columns);
      const rows = await terminal.rows();
      expect(rows.filter((row) => row.includes("left ("))).toEqual([rows.at(-1)]);
      expect(rows.at(-1)?.length).toBeLessThan(columns);
    }
    view.show(epochEvent);
    view.show(done);
    expect((await terminal.rows()).filter((row) => row.includes("left ("))).toEqual([]);
  });

  it("draws the live line at most ten times a second", () => {
    const terminal = testTerminal(80);
    show(terminal, [startEvent, ...Array<StepEvent>(100).fill(stepEvent)], { pause: 10 });
    expect(terminal.raw().split("1:02:03 left").length - 1).toBe(10);
  });

  it("says what is measured before the run in the live line", async () => {
    const terminal = testTerminal(80);
    show(terminal, [{ type: "preparing", what: "measuring the batch size that fits" }]);
    expect(await terminal.rows()).toEqual([" measuring the batch size that fits"]);
  });
});

describe("a run without a live line", () => {
  const plain = [
    expect.stringMatching(/^rfdetr 0\.1\.0/),
    ...Array(11).fill(expect.stringMatching(/^(model|data|weights|schedule|device|precision|run|watch| ) +\S/)),
    expect.stringMatching(/^warning: Random weights/),
    "note: The batch size is 16: as many as fit",
    expect.stringMatching(/^step 214 skipped, loss scale 65536 → 32768: /),
    expect.stringMatching(
      /^note: The loss is the weighted sum of .* class, box, giou below are those of the last layer, without their weights$/,
    ),
    "",
    expect.stringMatching(/^ {2}epoch +step +loss +class +box +giou +val loss +AP +AP50 +AP75 +lr +scale .* time$/),
    expect.stringMatching(/^ {3}1\/50 .* 1:05 {2}best$/),
    "warning: An image is left out. 鳥.jpg does not decode",
    expect.stringMatching(/^ {3}2\/50 .* 1:05$/),
  ];

  it("is whole lines without escape sequences in a pipe", () => {
    expect(piped(run)).toEqual(plain);
  });

  it.each([
    ["--plain", {}, { plain: true }],
    ["TERM=dumb", { TERM: "dumb" }, {}],
    ["CI=true", { CI: "true" }, {}],
  ])("is the same on a terminal with %s", (_, environment, options) => {
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
    const terminal = testTerminal(60);
    show(terminal, run, options);
    expect(terminal.raw().trimEnd().split("\n")).toEqual(plain);
  });

  it("has a live line but no colours with NO_COLOR", () => {
    vi.stubEnv("NO_COLOR", "1");
    const terminal = testTerminal(60);
    show(terminal, run);
    expect(terminal.raw()).toContain("evaluating");
    expect(terminal.raw().replaceAll("\x1b[J", "")).toBe(stripVTControlCharacters(terminal.raw()));
  });

  it("breaks neither the next command nor a path in a narrow terminal", () => {
    const terminal = testTerminal(40);
    const view = show(terminal, [{ ...startEvent, dir: "runs/all of my birds of this year" }]);
    const dir = "runs/all my birds of the whole year and more";
    view.ending({ ...result, dir, best: `${dir}/weights/best.safetensors` });
    const lines = stripVTControlCharacters(terminal.raw()).split("\n");
    expect(lines).toContainEqual(expect.stringMatching(/rfdetr dash 'runs\/all of my birds of this year'$/));
    expect(lines).toContainEqual(expect.stringMatching(/next {7}.* predict IMAGE --weights '.* more'/));
    expect(lines).toContainEqual(expect.stringContaining(`${dir}/weights/best.safetensors`));
  });

  it("gets a line every ten seconds in the first minute, then one a minute", () => {
    const steps = Array<StepEvent>(300).fill(stepEvent);
    expect(piped([startEvent, ...steps]).filter((line) => line.includes("left ("))).toHaveLength(5 + 4);
  });
});
