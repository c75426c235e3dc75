// The layers of a detection transformer, with PyTorch's shapes, keys and initial distributions.
import { empty, ones, zeros } from "../create.js";
import * as ops from "../ops.generated.js";
import type { Tensor } from "../tensor.js";
import * as init from "./init.js";
import { Module, type Parameter, parameter } from "./module.js";

const uniformBias = (size: number, fanIn: number): Parameter =>
  parameter(() => init.uniform_(empty([size]), -1 / Math.sqrt(fanIn), 1 / Math.sqrt(fanIn)));

/**
 * y = x·Wᵀ + b on the last axis: `[…, in]` → `[…, out]`; weight `[out, in]`, bias `[out]`. As torch.nn.Linear.
 *
 * @example
 * const layer = new nn.Linear(256, 4);
 * layer.call(randn([2, 300, 256])).shape; // [2, 300, 4]
 */
export class Linear extends Module {
  weight: Parameter;
  bias: Parameter | null;
  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    options: { bias?: boolean } = {},
  ) {
    super();
    this.weight = parameter(() => init.kaimingUniform_(empty([outFeatures, inFeatures])));
    this.bias = (options.bias ?? true) ? uniformBias(outFeatures, inFeatures) : null;
  }
  override forward(x: Tensor): Tensor {
    return ops.linear(x, this.weight, { bias: this.bias });
  }
}

/** All but `bias` are the same for height and width. */
export interface ConvOptions {
  stride?: number;
  padding?: number;
  groups?: number;
  bias?: boolean;
}

/**
 * Convolution, `[n, in, h, w]` → `[n, out, h′, w′]`; weight `[out, in/groups, k, k]`, bias `[out]`. As torch.nn.Conv2d.
 *
 * @example
 * const layer = new nn.Conv2d(3, 16, 3, { padding: 1 });
 * layer.call(randn([2, 3, 32, 32])).shape; // [2, 16, 32, 32]
 */
export class Conv2d extends Module {
  weight: Parameter;
  bias: Parameter | null;
  readonly stride: number;
  readonly padding: number;
  readonly groups: number;
  constructor(inChannels: number, outChannels: number, kernel: number, options: ConvOptions = {}) {
    super();
    this.stride = options.stride ?? 1;
    this.padding = options.padding ?? 0;
    this.groups = options.groups ?? 1;
    this.weight = parameter(() => init.kaimingUniform_(empty([outChannels, inChannels / this.groups, kernel, kernel])));
    this.bias = (options.bias ?? true) ? uniformBias(outChannels, (inChannels / this.groups) * kernel * kernel) : null;
  }
  override forward(x: Tensor): Tensor {
    const patch = this.weight.shape[3];
    if (this.stride === patch && this.padding === 0 && this.groups === 1 && x.ndim === 4 && x.device === "cpu")
      return this.#patches(x, patch);
    return ops.conv2d(x, this.weight, {
      bias: this.bias,
      stride: this.stride,
      padding: this.padding,
      groups: this.groups,
    });
  }

  /**
   * Where the stride is the kernel's side, patches do not overlap, and the convolution is one matrix product. That is
   * faster than libtorch's convolution. The result is channels-last in memory.
   */
  #patches(x: Tensor, side: number): Tensor {
    const [, channels = 0, height = 0, width = 0] = x.shape;
    const [h, w] = [Math.floor(height / side), Math.floor(width / side)];
    const whole = h * side === height && w * side === width ? x : x.narrow(2, 0, h * side).narrow(3, 0, w * side);
    const rows =
      side === 1
        ? whole.permute(0, 2, 3, 1)
        : whole
            .unflatten(3, [w, side])
            .unflatten(2, [h, side])
            .permute(0, 2, 4, 1, 3, 5)
            .reshape(-1, h, w, channels * side * side);
    return ops.linear(rows, this.weight.flatten(1), { bias: this.bias }).permute(0, 3, 1, 2);
  }
}

/**
 * Transposed convolution, `[n, in, h, w]` → `[n, out, h′, w′]`; weight `[in, out, k, k]`, bias `[out]`. As
 * torch.nn.ConvTranspose2d.
 */
export class ConvTranspose2d extends Module {
  weight: Parameter;
  bias: Parameter | null;
  readonly stride: number;
  constructor(
    inChannels: number,
    outChannels: number,
    kernel: number,
    options: { stride?: number; bias?: boolean } = {},
  ) {
    super();
    this.stride = options.stride ?? 1;
    this.weight = parameter(() => init.kaimingUniform_(empty([inChannels, outChannels, kernel, kernel])));
    this.bias = (options.bias ?? true) ? uniformBias(outChannels, outChannels * kernel * kernel) : null;
  }
  override forward(x: Tensor): Tensor {
    return ops.convTranspose2d(x, this.weight, { bias: this.bias, stride: this.stride });
  }
}

/**
 * Layer normalisation of the last axis, of length `size` (Ba et al. 2016); weight and bias `[size]`. As
 * torch.nn.LayerNorm.
 *
 * @example
 * new nn.LayerNorm(256).call(randn([2, 300, 256])).shape; // [2, 300, 256]
 */
export class LayerNorm extends Module {
  weight: Parameter;
  bias: Parameter;
  readonly eps: number;
  constructor(
    readonly size: number,
    options: { eps?: number } = {},
  ) {
    super();
    this.eps = options.eps ?? 1e-5;
    this.weight = parameter(() => ones([size]));
    this.bias = parameter(() => zeros([size]));
  }
  override forward(x: Tensor): Tensor {
    return ops.layerNorm(x, [this.size], { weight: this.weight, bias: this.bias, eps: this.eps });
  }
}

/**
 * Rows of the table `weight`, `[count, size]`, by index: int64 `[…]` → `[…, size]`. As torch.nn.Embedding.
 *
 * @example
 * new nn.Embedding(300, 256).call(arange(300, { dtype: "int64" })).shape; // [300, 256]
 */
export class Embedding extends Module {
  weight: Parameter;
  constructor(count: number, size: number) {
    super();
    this.weight = parameter(() => init.normal_(empty([count, size])));
  }
  override forward(indices: Tensor): Tensor {
    return ops.embedding(this.weight, indices);
  }
}

/**
 * Multi-head attention (Vaswani et al. 2017): query `[batch, queries, size]`, key and value `[batch, keys, size]` →
 * `[batch, queries, size]`. As torch.nn.MultiheadAttention with batch_first=True, with its packed projection: the rows
 * of `in_proj_weight`, `[3·size, size]`, are those of query, key and value.
 *
 * @example
 * const layer = new nn.MultiheadAttention(256, 8);
 * const x = randn([2, 300, 256]);
 * layer.call(x, x, x).shape; // [2, 300, 256]
 */
export class MultiheadAttention extends Module {
  inProjWeight: Parameter;
  inProjBias: Parameter;
  outProj: Linear;
  constructor(
    readonly size: number,
    readonly heads: number,
  ) {
    super();
    if (size % heads !== 0) throw new RangeError(`Expected a size divisible by ${heads} heads but received ${size}`);
    this.inProjWeight = parameter(() => init.xavierUniform_(empty([3 * size, size])));
    this.inProjBias = parameter(() => zeros([3 * size]));
    this.outProj = new Linear(size, size);
    init.zeros_(this.outProj.bias as Parameter);
  }
  override forward(query: Tensor, key: Tensor, value: Tensor): Tensor {
    const { size, heads } = this;
    const project = (x: Tensor, first: number, count: number): Tensor =>
      ops.linear(x, this.inProjWeight.narrow(0, first * size, count * size), {
        bias: this.inProjBias.narrow(0, first * size, count * size),
      });
    const split = (x: Tensor): Tensor => x.unflatten(-1, [heads, size / heads]).transpose(1, 2);
    const joined = query === key ? project(query, 0, 2).chunk(2, -1) : [project(query, 0, 1), project(key, 1, 1)];
    const [q, k] = joined.map(split) as [Tensor, Tensor];
    const attended = ops.scaledDotProductAttention(q, k, split(project(value, 2, 1)));
    return this.outProj.call(attended.transpose(1, 2).flatten(2));
  }
}

/**
 * Stochastic depth (Huang et al. 2016): while training, sets whole items of the batch, the first axis, to zero with
 * probability `p` and divides the others by 1 − p.
 */
export class DropPath extends Module {
  constructor(public p = 0) {
    super();
  }
  override forward(x: Tensor): Tensor {
    if (!this.training || this.p === 0) return x;
    const shape = x.shape.map((size, axis) => (axis === 0 ? size : 1));
    const rows = ops.bernoulli_(ops.newEmpty(x, shape), { p: 1 - this.p });
    return x.mul(rows.div(1 - this.p));
  }
}

/**
 * Modules one after the other, with the keys `0`, `1`, ….
 *
 * @example
 * const head = new nn.Sequential([new nn.Linear(256, 64), new nn.Linear(64, 4)]);
 * head.call(randn([2, 256])).shape; // [2, 4]
 */
export class Sequential extends Module {
  constructor(readonly modules: Module[]) {
    super();
  }
  override *namedChildren(): Generator<[string, Module]> {
    for (const [i, module] of this.modules.entries()) yield [String(i), module];
  }
  override forward(x: Tensor): Tensor {
    return this.modules.reduce((value, module) => module.call(value) as Tensor, x);
  }
}

/** A list of modules, with the keys `0`, `1`, …. */
export class ModuleList<T extends Module = Module> extends Module {
  constructor(readonly modules: T[]) {
    super();
  }
  override *namedChildren(): Generator<[string, Module]> {
    for (const [i, module] of this.modules.entries()) yield [String(i), module];
  }
  get length(): number {
    return this.modules.length;
  }
  /** @throws RangeError when there is no such module */
  at(index: number): T {
    const module = this.modules[index];
    if (module === undefined) throw new RangeError(`Expected an index below ${this.length} but received ${index}`);
    return module;
  }
  [Symbol.iterator](): Iterator<T> {
    return this.modules[Symbol.iterator]();
  }
  override forward(): never {
    throw new TypeError("Expected a call of one of the modules in a ModuleList but received a call of the list itself");
  }
}
