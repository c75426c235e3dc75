import { nn, ops, randn, scope, type Tensor } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { Autocast, withoutAutocast } from "../autocast/autocast.js";
import { defaultPolicy } from "../policy/policy.js";
import { CastMap } from "./cast-map.js";

class Net extends nn.Module {
  layers = [new nn.Linear(8, 8), new nn.Linear(8, 4)];
  norm = new nn.LayerNorm(4);
  override forward(x: Tensor): Tensor {
    const y = this.layers.reduce((value, layer) => ops.relu(layer.call(value) as Tensor), x);
    return ops.softmax(this.norm.call(y) as Tensor, -1).float();
  }
}
const mapOf = (autocast: Autocast): CastMap => {
  const net = new Net();
  const map = new CastMap();
  scope(() => map.watch(() => autocast.run(() => net.call(randn([3, 8])))));
  return map;
};
const row = (map: CastMap, path: string, operator: string) =>
  map.rows.find((r) => r.path === path && r.operator === operator);

describe("cast map", () => {
  it("tells what ran in which dtype where", () => {
    const map = mapOf(new Autocast("bf16-mixed"));
    expect(row(map, "layers.0", "linear")).toEqual({
      path: "layers.0",
      operator: "linear",
      inputs: "bfloat16",
      output: "bfloat16",
      emulated: false,
      rule: "lower",
      reason: expect.stringMatching(/^matrix units multiply low-precision operands/),
      calls: 1,
    });
    expect(row(map, "(model)", "relu")).toMatchObject({ inputs: "bfloat16", calls: 2 });
    expect(row(map, "(model)", "softmax")).toMatchObject({ inputs: "float32", output: "float32" });
  });

  const castsAt = (map: CastMap, path: string) =>
    map.casts.filter((r) => r.path === path).map(({ from, to, what, casts, bytes }) => [from, to, what, casts, bytes]);

  it("counts casts and their bytes", () => {
    const map = mapOf(new Autocast("bf16-mixed", { masters: false }));
    const at = (path: string) => castsAt(map, path);
    expect(at("layers.0")).toEqual([
      ["float32", "bfloat16", "activation", 1, 3 * 8 * 2],
      ["float32", "bfloat16", "weight", 2, (64 + 8) * 2],
    ]);
    expect(at("layers.1")).toEqual([["float32", "bfloat16", "weight", 2, (32 + 4) * 2]]);
    // The norm reads bfloat16 as it is, and rounds its float32 result for a product that may follow.
    expect(at("norm")).toEqual([["float32", "bfloat16", "activation", 1, 3 * 4 * 2]]);
  });

  it("tells weights that are rounded inside their products, where nothing is written", () => {
    const map = mapOf(new Autocast("bf16-mixed", { masters: true }));
    expect(castsAt(map, "layers.0")).toEqual([
      ["float32", "bfloat16", "activation", 1, 3 * 8 * 2],
      ["float32", "bfloat16", "inside", 2, 0],
    ]);
    expect(row(map, "layers.0", "linear")).toMatchObject({ inputs: "bfloat16", output: "bfloat16" });
  });

  it("sees 32-true, and emulated float16 products as float16", () => {
    const plain = mapOf(new Autocast("32-true"));
    expect(plain.total).toEqual({ casts: 0, bytes: 0 });
    expect(row(plain, "layers.0", "linear")).toMatchObject({ inputs: "float32" });
    expect(row(mapOf(new Autocast("16-mixed", { emulateFloat16: true })), "layers.0", "linear")).toMatchObject({
      inputs: "float16",
      output: "float16",
      emulated: true,
    });
  });

  it("gives the rule of each operator and the reason: of the policy, of an override, or that there is none", () => {
    const map = mapOf(new Autocast("bf16-mixed", { overrides: { "layers.*": "fp32" } }));
    const why = (path: string, operator: string) => {
      const { rule, reason } = row(map, path, operator) ?? {};
      return [rule, reason];
    };
    expect(why("layers.0", "linear")).toEqual(["fp32", "the override layers.*=fp32"]);
    expect(why("(model)", "softmax")).toEqual(["fp32", defaultPolicy.rows.get("softmax")?.reason]);
    expect(row(mapOf(new Autocast("32-true")), "layers.0", "linear")?.reason).toBe("no autocast is active");
    const [x] = [randn([2, 2])];
    const outside = new CastMap();
    const autocast = new Autocast("bf16-mixed");
    scope(() => outside.watch(() => autocast.run(() => withoutAutocast(() => void ops.matmul(x, x)))));
    scope(() => outside.watch(() => autocast.run(() => void ops.tan(ops.add_(x, x)))));
    expect(outside.rows.map(({ operator, reason }) => [operator, reason])).toEqual([
      ["matmul", "autocast is suspended here"],
      ["add_", "writes into a tensor that it was given"],
      ["tan", "not in the policy: computed in the dtypes that it gets"],
    ]);
  });

  it("prints a table with the reasons, and a tree", () => {
    const map = mapOf(new Autocast("bf16-mixed", { masters: true }));
    expect(map.table()).toMatch(/linear +bfloat16 +bfloat16 +lower +2/);
    expect(map.table()).toMatch(/^lower: linear: matrix units multiply/m);
    expect(map.table()).toMatch(/^inside: weights that their product rounds/m);
    expect(map.table()).toMatch(/6 casts write \d+ B in one forward/);
    expect(map.tree()).toMatch(/norm {2}.*; 1 cast, \d+ B$/m);
    expect(map.tree()).toMatch(/├─ layers {2}bfloat16 2; 5 casts/);
    expect(map.tree(1)).not.toMatch(/└─ 1/);
  });
});
