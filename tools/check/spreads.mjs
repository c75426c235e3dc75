// @ts-check
// Calls whose arguments are a list spread out. Arguments lie on the stack: some 120,000 of them are a RangeError, so a
// list whose length a user decides goes through `append`, `largestOf` or `smallestOf` of `support/lists.ts`.
//
//   node tools/check/spreads.mjs
import { parseSync, Visitor } from "oxc-parser";
import { isMain, isTest, lineAt, report, written } from "./repository.mjs";

/** What takes any number of arguments, and so is given lists. */
const takesLists = /\.(push|unshift|splice|concat|append|of|apply)$|^Math\.\w+$|^String\.from\w+$/;

/** Why the lists of a file are short; from `packages/`, without the ending. @type {Record<string, readonly string[]>} */
const short = {
  "arguments of a command, folders of a path, limits of a machine": [
    "rfdetr/src/cli/program",
    "rfdetr/src/predict/outputs/outputs",
    "rfdetr/src/run/files/run-directory",
    "rfdetr/src/support/machine/memory",
    "torch/src/cores/index",
  ],
  "numbers of a box or of a shape, points of a curve, ticks of an axis": [
    "rfdetr/src/charts/chart",
    "rfdetr/src/data/augment/affine",
    "rfdetr/src/data/convert/to-yolo",
    "rfdetr/src/data/images/geometry",
    "rfdetr/src/data/loader/prepare-sample",
    "rfdetr/src/detector/predict-options",
    "rfdetr/src/eval/details/describe-evaluation",
    "rfdetr/src/eval/details/group-figures",
    "rfdetr/src/eval/figures/results-figure",
    "rfdetr/src/export/precision/compare-detections",
    "rfdetr/src/export/proof/compare-outputs",
    "rfdetr/src/model/decoder/query-selection",
    "rfdetr/src/onnx/goldens",
    "rfdetr/src/support/thresholds",
  ],
  "layers, parameters and nodes of a model": [
    "amp/src/observers/calibrate",
    "rfdetr/src/cli/instruments/profile-report",
    "rfdetr/src/dash/views/exponent-map",
    "rfdetr/src/export/graph/lower",
    "rfdetr/src/model/backbone/dinov2",
    "rfdetr/src/onnx/model-file",
    "rfdetr/src/report/numerics/headroom-tree",
    "rfdetr/src/run/files/checkpoint/checkpoint",
    "rfdetr/src/run/session/prepare",
    "rfdetr/src/train/parameters/parameter-groups",
    "rfdetr/src/weights/model-limits",
  ],
  "images of a batch": [
    "rfdetr/src/loss/matcher",
    "rfdetr/src/predict/worker/model-host",
    "rfdetr/src/run/ranks/shared-evaluation",
    "rfdetr/src/run/recorders/pictures",
    "rfdetr/src/run/session/auto-batch",
  ],
  "runs, processes, forms and repeated measurements": [
    "rfdetr/src/export/precision/drift-text",
    "rfdetr/src/instruments/peers/against",
    "rfdetr/src/predict/batch-size",
    "rfdetr/src/report/compare/facts",
    "rfdetr/src/report/html/rank-words",
    "rfdetr/src/report/records/ranks",
    "rfdetr/src/run/callbacks/open-callbacks",
    "rfdetr/src/run/launch/end-judge",
    "rfdetr/src/train/measure/calibrate-step",
  ],
};
const exempt = new Set(
  Object.values(short)
    .flat()
    .map((path) => `packages/${path}.ts`),
);

/** @param {import("./repository.mjs").File[]} files @returns {string[]} */
export function breaches(files, allowed = exempt) {
  /** @type {Set<string>} */
  const used = new Set();
  const found = files.flatMap(({ path, text }) => {
    /** @type {string[]} */
    const wrong = [];
    new Visitor({
      CallExpression: (node) => {
        const name = text.slice(node.callee.start, node.callee.end);
        if (!takesLists.test(name) || !node.arguments.some(({ type }) => type === "SpreadElement")) return;
        used.add(path);
        if (!allowed.has(path))
          wrong.push(`${path}:${lineAt(text, node.start)}: ${name}(...) spreads a list: use support/lists.ts`);
      },
    }).visit(parseSync(path, text).program);
    return wrong;
  });
  const idle = [...allowed].filter((path) => !used.has(path));
  return [...found, ...idle.map((path) => `${path}: is excepted in tools/check/spreads.mjs and spreads no list`)];
}

if (isMain(import.meta.url))
  report(
    "spreads",
    breaches(written(/^packages\/.*\.(ts|mjs)$/).filter(({ path }) => /\/(src|bin)\//.test(path) && !isTest(path))),
  );
