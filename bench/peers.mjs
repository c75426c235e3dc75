// @ts-check
// What the comparisons with other programs share: flags, and a table of forward passes.
import { parseArgs } from "node:util";
import { pythonWithPackage } from "rfdetr/instruments";
import { busyness, machineLine } from "rfdetr/support";

/** @typedef {import("rfdetr/instruments").AgainstResult} AgainstResult */
/** @typedef {import("rfdetr/instruments").Peer} Peer */

export const names = { rfdetr: "this program", python: "Python", openvino: "OpenVINO", onnxruntime: "onnxruntime" };

/** Flags of a comparison, with an interpreter that has the other programs. */
export async function peerFlags(options, programs) {
  /** @type {{values: Record<string, any>}} flags that a comparison has and others do not */
  const { values } = parseArgs({
    options: {
      python: { type: "string" },
      rounds: { type: "string", default: "2" },
      steps: { type: "string" },
      isa: { type: "string" },
      json: { type: "boolean", default: false },
      ...options,
    },
  });
  const say = (text) => console.error(text);
  const { text, busy } = busyness();
  say(machineLine());
  if (busy) say(`warning: ${text}`);
  const isa = values.isa === undefined ? undefined : /** @type {const} */ ("avx2");
  if (values.isa !== undefined && values.isa !== isa) throw new Error("Expected avx2 for --isa");
  const python = await pythonWithPackage({ python: values.python, programs, say });
  return { values, say, common: { python, rounds: Number(values.rounds), isa } };
}

/** Times of a quantity by program; null where there is none. */
export function timesOf(result, measured, precision, busy = false) {
  const row = result.rows.find(
    (each) => each.measured === measured && each.precision === precision && each.busy === busy,
  );
  return new Map((row?.programs ?? []).map((times) => [times.program, times]));
}
