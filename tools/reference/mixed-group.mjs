#!/usr/bin/env node
// @ts-check
// One group of processes with ranks of this program and of Python: they sum, broadcast and gather tensors together.
//
//   npm run build && node tools/reference/mixed-group.mjs [--python PATH]
//
// PATH is a Python that has torch 2.11 or later. Fails when the ranks do not have the same bits.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { distributed, scope, tensor } from "@rfdetr/torch";
import { uniforms } from "../../packages/rfdetr/dist/instruments/peers/deterministic-fill.js";
import { freePort } from "../free-port.mjs";

const { values } = parseArgs({ options: { python: { type: "string", default: "python3" } } });
const size = 2;
const port = await freePort();

const program = fileURLToPath(new URL("mixed_group.py", import.meta.url));
const python = spawn(values.python, [program, "1", String(size), String(port)], { stdio: ["ignore", 2, 2] });
const ended = once(python, "exit");

const place = { address: "127.0.0.1", port, isStoreServer: true, timeoutSeconds: 60 };
const group = distributed.ProcessGroup.join({ rank: 0, size, ...place });

/** @type {string[]} what this rank has after each collective */
const told = [];
/** @type {string[]} what each of them is */
const names = [];
/** @param {string} name @param {import("@rfdetr/torch").Tensor} result */
function tell(name, result) {
  names.push(name);
  const { buffer, byteOffset, byteLength } = /** @type {Float64Array} */ (result.toArray());
  told.push(
    createHash("sha256")
      .update(new Uint8Array(buffer, byteOffset, byteLength))
      .digest("hex"),
  );
}
/** @param {string} name @param {number[]} shape @param {import("@rfdetr/torch").DType} dtype */
const mine = (name, shape, dtype) =>
  tensor(
    uniforms(
      `${name} 0`,
      shape.reduce((a, b) => a * b),
    ),
    { dtype: "float64" },
  )
    .mul(1000)
    .to(dtype)
    .reshape(shape);

scope(() => {
  for (const dtype of /** @type {const} */ (["float32", "float64", "int64", "bfloat16"]))
    for (const op of /** @type {const} */ (["sum", "max", "min"])) {
      const values = mine(dtype, [7, 1001], dtype);
      group.allReduce([values], op);
      tell(`${op} of ${dtype}`, values);
    }
  for (let from = 0; from < size; from++) {
    const values = mine("broadcast", [100_003], "float32");
    group.broadcast([values], from);
    tell(`broadcast from rank ${from}`, values);
  }
  // Small ones travel by an all-to-all, large ones by an all-gather.
  for (const [name, shape] of /** @type {const} */ ([
    ["gather", [5, 3]],
    ["gather much", [100, 101]],
  ]))
    for (const [rank, part] of group.allGather(mine(name, [...shape], "float64")).entries())
      tell(`${name}, of rank ${rank}`, part);
});
const theirs = group.store.get("results/1").split(" ");
group.leave();
await ended;
const rows = names.map((name, i) => ({ name, same: told[i] === theirs[i] }));
for (const { name, same } of rows) console.log(`${name.padEnd(24)} ${same ? "the same bits" : "DIFFERENT"}`);
process.exitCode = rows.length === theirs.length && rows.every(({ same }) => same) ? 0 : 1;
