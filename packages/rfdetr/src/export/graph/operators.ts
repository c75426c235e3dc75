// The table of operators: what each operator of libtorch is in ONNX, opset 17. One row a rule.
import { ExportError } from "../../support/errors.js";
import { type Call, elementType } from "./call.js";
import type { Dim, Value } from "./graph.js";

/** Emits nodes for a call and returns its results. */
export type OperatorRule = (call: Call) => Value | Value[];

const unary =
  (op: string, argument = "self"): OperatorRule =>
  (call) =>
    call.emit(op, [call.input(argument)]);

/** The same elements in another shape. */
const reshaped: OperatorRule = (call) => call.reshape(call.input("self"));
/** The same tensor. */
const same: OperatorRule = (call) => call.input("self");

/** The second operand: a tensor, or a number without axes, in the dtype of the result. */
function other(call: Call): Value {
  const dtype = elementType(call.result);
  return typeof call.argument("other") === "number"
    ? call.scalar(call.number("other"), dtype)
    : call.cast(call.input("other"), dtype);
}

const binary =
  (op: string): OperatorRule =>
  (call) => {
    const dtype = elementType(call.result);
    let second = other(call);
    if (call.traced.op.arguments.some(({ name }) => name === "alpha") && call.number("alpha", 1) !== 1)
      second = call.emit("Mul", [second, call.scalar(call.number("alpha"), dtype)], {}, { shape: second.shape });
    return call.emit(op, [call.cast(call.input("self"), dtype), second]);
  };

/** `x·Wᵀ + b`: the weight is stored transposed. */
const linear: OperatorRule = (call) => {
  const input = call.input("input");
  const weight = call.input("weight");
  const product = call.emit("MatMul", [input, transposed(call, weight)]);
  return call.has("bias") ? call.emit("Add", [product, call.input("bias")]) : product;
};

function transposed(call: Call, weight: Value): Value {
  const [rows, columns] = weight.shape as [number, number];
  const { data } = weight;
  if (data === null) return call.emit("Transpose", [weight], { perm: [1, 0] }, { shape: [columns, rows] });
  const turned = data.slice();
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) turned[column * rows + row] = data[row * columns + column];
  return call.lowering.graph.constant(`${weight.name}.transposed`, weight.dtype, [columns, rows], turned);
}

const convolution =
  (op: string): OperatorRule =>
  (call) => {
    const weight = call.input("weight");
    const padding = call.numbers("padding", 2, 0);
    return call.emit(op, [call.input("input"), weight, ...(call.has("bias") ? [call.input("bias")] : [])], {
      kernel_shape: weight.shape.slice(2) as number[],
      strides: call.numbers("stride", 2, 1),
      pads: [...padding, ...padding],
      dilations: call.numbers("dilation", 2, 1),
      group: call.number("groups", 1),
    });
  };

const layerNorm: OperatorRule = (call) =>
  call.emit("LayerNormalization", [call.input("input"), call.input("weight"), call.input("bias")], {
    axis: -call.numbers("normalized_shape", 1, 0).length,
    epsilon: { float: call.number("eps", 1e-5) },
  });

/** ½·x·(1 + erf(x/√2)), in the order of operators that runtimes join to one kernel. */
const gelu = (call: Call, argument: string): Value => {
  const x = call.input(argument);
  const erf = call.emit("Erf", [call.emit("Div", [x, call.scalar(Math.SQRT2, "float32")])]);
  const sum = call.emit("Add", [erf, call.scalar(1, "float32")]);
  return call.emit("Mul", [call.emit("Mul", [x, sum]), call.scalar(0.5, "float32")]);
};

const silu: OperatorRule = (call) => {
  const x = call.input("self");
  return call.emit("Mul", [x, call.emit("Sigmoid", [x])]);
};

const addcmul: OperatorRule = (call) => {
  const shape = call.tensor("tensor1").shape;
  const product = call.emit("Mul", [call.input("tensor1"), call.input("tensor2")], {}, { shape });
  return call.emit("Add", [call.input("self"), product]);
};

const permute = (call: Call, perm: readonly number[]): Value => call.emit("Transpose", [call.input("self")], { perm });

const transpose: OperatorRule = (call) => {
  const rank = call.tensor("self").shape.length;
  const [a, b] = [call.axis("dim0", rank), call.axis("dim1", rank)];
  return permute(
    call,
    Array.from({ length: rank }, (_, i) => (i === a ? b : i === b ? a : i)),
  );
};

/** Elements `start` to `end` of an axis. */
const slice = (call: Call, start: number, end: number, step = 1): Value => {
  const axis = call.axis("dim", call.tensor("self").shape.length, 0);
  return call.emit("Slice", [
    call.input("self"),
    ...[[start], [end], [axis], [step]].map((list) => call.integers(list)),
  ]);
};

/** One element of an axis, which goes. */
function pick(call: Call, index: number, shape: readonly Dim[]): Value {
  const source = call.input("self");
  const axis = call.axis("dim", source.shape.length, 0);
  if (source.shape[axis] === 1) return call.reshape(source, shape);
  return call.emit("Gather", [source, call.scalar(index, "int64")], { axis }, { shape });
}

/** Pieces along an axis. */
const split =
  (argument: string): OperatorRule =>
  (call) => {
    const axis = call.axis("dim", call.tensor(argument).shape.length, 0);
    const results = call.traced.results.map((result) => ({ shape: result.shape, dtype: elementType(result) }));
    const sizes = results.map(({ shape }) => shape[axis] as number);
    return call.emitMany("Split", [call.input(argument), call.integers(sizes)], { axis }, results);
  };

const stack: OperatorRule = (call) => {
  const axis = call.axis("dim", call.result.shape.length, 0);
  const single = call.result.shape.with(axis, 1);
  return call.emit(
    "Concat",
    call.inputs("tensors").map((value) => call.reshape(value, single)),
    { axis },
  );
};

const expand: OperatorRule = (call) => {
  const sizes = call.result.shape.map((size) => call.size(size));
  const shape = call.emit("Concat", sizes, { axis: 0 }, { shape: [sizes.length], dtype: "int64" });
  return call.emit("Expand", [call.input("self"), shape]);
};

const range: OperatorRule = (call) => {
  const end = call.reshape(call.size(call.argument("end") as Dim), []);
  return call.emit("Range", [call.scalar(0, "int64"), end, call.scalar(1, "int64")], {}, { dtype: "int64" });
};

const topk: OperatorRule = (call) => {
  const axis = call.axis("dim", call.tensor("self").shape.length, -1);
  const results = call.traced.results.map((result) => ({ shape: result.shape, dtype: elementType(result) }));
  return call.emitMany(
    "TopK",
    [call.input("self"), call.integers([call.number("k")])],
    { axis, largest: Number(call.flag("largest", true)), sorted: Number(call.flag("sorted", true)) },
    results,
  );
};

/** Bilinear, with half-pixel centres; corners that are aligned have no row. */
const upsample: OperatorRule = (call) => {
  if (call.flag("align_corners")) throw new ExportError("Expected align_corners false for upsample_bilinear2d");
  const sizes = call.result.shape.map((size) => call.size(size));
  const shape = call.emit("Concat", sizes, { axis: 0 }, { shape: [sizes.length], dtype: "int64" });
  const attributes = { mode: "linear", coordinate_transformation_mode: "half_pixel" };
  return call.emit("Resize", [call.input("self"), null, null, shape], attributes);
};

const gridSample: OperatorRule = (call) =>
  call.emit("GridSample", [call.input("input"), call.input("grid")], {
    mode: ["bilinear", "nearest", "bicubic"][call.number("interpolation_mode")],
    padding_mode: ["zeros", "border", "reflection"][call.number("padding_mode")],
    align_corners: Number(call.flag("align_corners")),
  });

/** By name of the operator, whatever its overload. */
export const operatorRules: Readonly<Record<string, OperatorRule>> = {
  "aten::add": binary("Add"),
  "aten::sub": binary("Sub"),
  "aten::mul": binary("Mul"),
  "aten::div": binary("Div"),
  "aten::addcmul": addcmul,
  "aten::exp": unary("Exp"),
  "aten::sin": unary("Sin"),
  "aten::cos": unary("Cos"),
  "aten::relu": unary("Relu"),
  "aten::sigmoid": unary("Sigmoid"),
  "aten::silu": silu,
  "aten::gelu": (call) => gelu(call, "self"),
  "rfdetr::gelu": (call) => gelu(call, "input"),
  "aten::softmax": (call) => call.emit("Softmax", [call.input("self")], { axis: call.number("dim") }),
  "aten::linear": linear,
  "aten::matmul": (call) => call.emit("MatMul", [call.input("self"), call.input("other")]),
  "aten::conv2d": convolution("Conv"),
  "aten::conv_transpose2d": convolution("ConvTranspose"),
  "aten::layer_norm": layerNorm,
  "aten::amax": (call) =>
    call.emit("ReduceMax", [call.input("self")], {
      axes: call.numbers("dim", 1, -1),
      keepdims: Number(call.flag("keepdim")),
    }),
  "aten::sum": (call) =>
    call.emit("ReduceSum", [call.input("self"), call.integers(call.numbers("dim", 1, -1))], {
      keepdims: Number(call.flag("keepdim")),
    }),
  "aten::topk": topk,
  "aten::embedding": (call) => call.emit("Gather", [call.input("weight"), call.input("indices")], { axis: 0 }),
  "aten::index_select": (call) =>
    call.emit("Gather", [call.input("self"), call.input("index")], {
      axis: call.axis("dim", call.tensor("self").shape.length),
    }),
  "aten::gather": (call) =>
    call.emit("GatherElements", [call.input("self"), call.input("index")], {
      axis: call.axis("dim", call.tensor("self").shape.length),
    }),
  "aten::grid_sampler": gridSample,
  "aten::upsample_bilinear2d": upsample,
  "aten::cat": (call) =>
    call.emit("Concat", call.inputs("tensors"), { axis: call.axis("dim", call.result.shape.length, 0) }),
  "aten::stack": stack,
  "aten::chunk": split("self"),
  "aten::split_with_sizes": split("self"),
  "aten::unbind": (call) => call.traced.results.map(({ shape }, i) => pick(call, i, shape)),
  "aten::select": (call) => pick(call, call.number("index"), call.result.shape),
  "aten::narrow": (call) => slice(call, call.number("start"), call.number("start") + call.number("length")),
  "aten::slice": (call) =>
    slice(call, call.number("start", 0), call.number("end", 2 ** 31 - 1), call.number("step", 1)),
  "aten::view": reshaped,
  "aten::reshape": reshaped,
  "aten::flatten": reshaped,
  "aten::unflatten": reshaped,
  "aten::unsqueeze": reshaped,
  "aten::squeeze": reshaped,
  "aten::permute": (call) => permute(call, call.numbers("dims", 0, 0)),
  "aten::transpose": transpose,
  "aten::expand": expand,
  "aten::arange": range,
  "aten::detach": same,
  "aten::contiguous": same,
  "aten::clone": same,
  "aten::_to_copy": (call) => call.cast(call.input("self"), elementType(call.result)),
};
