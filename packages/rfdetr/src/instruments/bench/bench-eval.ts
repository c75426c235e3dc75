// Measures the COCO metrics on a synthetic load.
import { appendFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadFiles } from "../../eval/coco/coco-files.js";
import { UNDEFINED_FIGURE } from "../../eval/coco/coco-parameters.js";
import { scratchFolder } from "../../support/files/scratch.js";
import { peakRss } from "../../support/machine/machine.js";
import { Rng } from "../../support/random.js";

/** Size of a load. */
export interface EvalLoad {
  images: number;
  /** Detections of every image. */
  detections: number;
  classes: number;
  /** Ground truths of an image, on average. */
  truths: number;
}

/** Seconds, memory and figures of the COCO metrics on a load. */
export interface EvalBench extends EvalLoad {
  seconds: { load: number; evaluate: number };
  /** Of the process since it started, with the writing of the files, which are written in pieces. */
  peak_rss_bytes: number;
  /** AP, AP50, AP75, AP of small, medium and large objects, AR1, AR10, AR100, AR of small, medium and large ones. */
  stats: number[];
}

/** Paths of the two files of a load. */
export interface EvalFiles {
  annotations: string;
  results: string;
}

/** Writes a load to a temporary folder, reads and scores it, and measures both. */
export function benchEval(load: EvalLoad): EvalBench {
  const folder = scratchFolder("bench-eval");
  try {
    return { ...load, ...scoreLoad(writeLoad(folder, load)) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Seconds of reading and of scoring a results file. */
function scoreLoad({ annotations, results }: EvalFiles): Pick<EvalBench, "seconds" | "peak_rss_bytes" | "stats"> {
  const start = performance.now();
  const evaluator = loadFiles(annotations, results, { maxDets: [1, 10, 100] });
  const loaded = performance.now();
  const s = evaluator.summarize();
  const done = performance.now();
  return {
    seconds: { load: (loaded - start) / 1000, evaluate: (done - loaded) / 1000 },
    peak_rss_bytes: peakRss(),
    stats: [
      s.AP,
      s.AP50,
      s.AP75,
      s.AP_small,
      s.AP_medium,
      s.AP_large,
      s.AR1,
      s.AR10,
      s.AR100,
      s.AR_small,
      s.AR_medium,
      s.AR_large,
    ].map((figure) => figure ?? UNDEFINED_FIGURE),
  };
}

/**
 * Writes an annotation file and a results file, the same ones for the same load. Half of the detections are near an
 * object, the others anywhere.
 */
export function writeLoad(folder: string, { images, detections, classes, truths }: EvalLoad): EvalFiles {
  const rng = new Rng("bench eval");
  const random = (): number => rng.next();
  const round = (v: number) => Math.round(v * 100) / 100;
  const size = () => 8 * 40 ** random();
  const anywhere = () => [random() * 500, random() * 350, size(), size()];
  const annotations = new ListFile(
    join(folder, "annotations.json"),
    `{"info": {}, "images": ${JSON.stringify(Array.from({ length: images }, (_, i) => ({ id: i + 1, width: 640, height: 480 })))}, "categories": ${JSON.stringify(Array.from({ length: classes }, (_, i) => ({ id: i + 1, name: `class ${i + 1}` })))}, "annotations": [`,
    "]}",
  );
  const results = new ListFile(join(folder, "results.json"), "[", "]");
  let id = 0;
  for (let image = 1; image <= images; image++) {
    const own: { bbox: number[]; category_id: number }[] = [];
    for (let count = 1 + Math.floor(random() * (2 * truths - 1)); count > 0; count--) {
      const bbox = anywhere().map(round);
      // Few classes in one image, as in photographs.
      const category_id = 1 + (((image * 7919 + Math.floor(random() * 4) * 31) % 1000003) % classes);
      own.push({ bbox, category_id });
      const iscrowd = random() < 0.02 ? 1 : 0;
      annotations.add({ id: ++id, image_id: image, category_id, bbox, area: round(bbox[2] * bbox[3] * 0.8), iscrowd });
    }
    for (let i = 0; i < detections; i++) {
      const near = own[Math.floor(random() * own.length)];
      const jitter = () => (random() + random() - 1) * 0.3;
      const hit = random() < 0.5;
      const [x, y, w, h] = near.bbox;
      const bbox = hit
        ? [x + jitter() * w, y + jitter() * h, w * Math.exp(jitter()), h * Math.exp(jitter())]
        : anywhere();
      const category_id = hit || random() < 0.5 ? near.category_id : 1 + Math.floor(random() * classes);
      const score = Math.fround(hit ? 0.2 + 0.8 * random() : random() ** 2);
      results.add({ image_id: image, category_id, bbox: bbox.map(round), score });
    }
  }
  return { annotations: annotations.end(), results: results.end() };
}

/** Writes a JSON list to a file piece by piece, so that the load is never in memory as a whole. */
class ListFile {
  #pending: string[] = [];
  #separator = "";

  constructor(
    readonly path: string,
    head: string,
    readonly tail: string,
  ) {
    writeFileSync(path, head);
  }

  add(entry: object): void {
    this.#pending.push(JSON.stringify(entry));
    if (this.#pending.length >= 10_000) this.#flush();
  }

  end(): string {
    this.#flush();
    appendFileSync(this.path, this.tail);
    return this.path;
  }

  #flush(): void {
    if (this.#pending.length === 0) return;
    appendFileSync(this.path, this.#separator + this.#pending.join(","));
    this.#separator = ",";
    this.#pending = [];
  }
}
