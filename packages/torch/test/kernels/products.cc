// Products and activations. Whole numbers make sums exact in float32, in any order.
#include "families.h"

#include <algorithm>
#include <cfenv>

namespace kernels {

namespace {

double gelu_of(double u) { return 0.5 * u * std::erfc(-u * std::sqrt(0.5)); }
double gelu_slope(double u) {
  return 0.5 * std::erfc(-u * std::sqrt(0.5)) + u * std::exp(-0.5 * u * u) * 0.39894228040143268;
}

/// Distance of neighbouring bfloat16 values at this size.
double ulp(double value) { return std::ldexp(1, std::max(-126, std::ilogb(value == 0 ? 1e-38 : value)) - 7); }
/// Bound of an error of GELU. In the kernels of pairs the polynomial is off by up to 4 % of the tail far out on the
/// left, in the others exp by 2e-5.
double gelu_bound(const Family& family, double u, double exact, bool is_bf16) {
  const double rounding = is_bf16 ? ulp(exact) : 0, share = !family.has_pairs ? 2e-5 : u < -4 ? 0.04 : 0;
  return rounding + share * std::fabs(exact) + 1e-30;
}

uint16_t whole(Random& random) { return to_bf16(random.whole()); }

/// Both operands of one product, and its exact result.
struct Product {
  int64_t rows, columns, depth;
  Array<uint16_t> left;   // [rows × depth]
  Array<uint16_t> right;  // [depth × columns]
  Array<double> exact;    // [rows × columns]

  Product(int64_t rows, int64_t columns, int64_t depth)
      : rows(rows), columns(columns), depth(depth), left(rows * depth), right(depth * columns), exact(rows * columns) {
    Random random(rows + 31 * columns + 977 * depth);
    for (int64_t i = 0; i < left.count(); ++i) left[i] = whole(random);
    for (int64_t i = 0; i < right.count(); ++i) right[i] = whole(random);
    multiply();
  }
  void multiply() {
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < columns; ++c) {
        double sum = 0;
        for (int64_t k = 0; k < depth; ++k)
          sum += double(from_bf16(left[r * depth + k])) * from_bf16(right[k * columns + c]);
        exact[r * columns + c] = sum;
      }
  }
  std::string where(int64_t r, int64_t c) const {
    return text("[", rows, " × ", depth, "] · [", depth, " × ", columns, "] at row ", r, ", column ", c);
  }
};

/// A matrix [depth × columns] as panels of the right or the left operand.
Array<Cell> packed(const Family& family, const uint16_t* matrix, int64_t columns, int64_t depth, bool left = false) {
  const Kernels& kernels = *family.kernels;
  const int64_t width = left ? kernels.left_width : kernels.right_width, panels = (columns + width - 1) / width;
  Array<Cell> cells(kernels.packed_size(columns, width, depth));
  const Source source{matrix, columns, false, family.has_pairs};
  if (left)
    kernels.pack_left(source, columns, depth, kernels.cells(depth), 0, panels, cells.data(), nullptr);
  else
    kernels.pack_right(source, columns, depth, kernels.cells(depth), 0, panels, cells.data());
  return cells;
}

struct Case {
  const char* name;
  bool left_is_f32, is_bf16, bias, accumulate;
  Activation activation;
  bool keeps;
  Activation derivative_of;
};

/// An element of the result, from the exact sum; what lies in the output before is `before`, and `at` is the operand of
/// the derivative.
double wanted(const Case& of, double sum, float before, float at) {
  const double value = of.is_bf16 ? from_bf16(to_bf16(static_cast<float>(sum))) : sum + (of.accumulate ? before : 0);
  if (of.activation == Activation::relu) return std::max(0.0, value);
  if (of.activation == Activation::gelu) return gelu_of(value);
  if (of.derivative_of == Activation::relu) return at > 0 ? value : 0;
  if (of.derivative_of == Activation::gelu) return value * gelu_slope(at);
  return value;
}

/// Values of either dtype, filled with 5.
struct Values {
  Array<float> floats;
  Array<uint16_t> halves;
  Values(int64_t count, bool is_bf16) : floats(is_bf16 ? 0 : count, 5), halves(is_bf16 ? count : 0, 0x40A0) {}
  void* data() { return halves.count() ? static_cast<void*>(halves.data()) : floats.data(); }
  float get(int64_t i) const { return halves.count() ? from_bf16(halves[i]) : floats[i]; }
  void set(int64_t i, float value) { halves.count() ? void(halves[i] = to_bf16(value)) : void(floats[i] = value); }
};

void check_rows(const Family& family, const Case& of, const Product& product) {
  const int64_t rows = product.rows, columns = product.columns, stride = columns + 3;
  const int64_t size = (rows - 1) * stride + columns;
  const Array<Cell> right = packed(family, product.right.data(), columns, product.depth);
  Random random(7);
  Array<float> bias(columns), left_floats(of.left_is_f32 ? product.left.count() : 0);
  for (int64_t i = 0; i < left_floats.count(); ++i) left_floats[i] = from_bf16(product.left[i]);
  const bool derives = of.derivative_of != Activation::none;
  Values out(size, of.is_bf16), kept(size, of.is_bf16), at(size, of.is_bf16);
  for (int64_t i = 0; i < columns; ++i) bias[i] = random.whole();
  for (int64_t i = 0; derives && i < size; ++i) at.set(i, random.uniform() * 3);
  const Source left{of.left_is_f32 ? static_cast<const void*>(left_floats.data()) : product.left.data(), product.depth,
                    of.left_is_f32, family.has_pairs};
  family.kernels->multiply_rows(left, rows, columns, product.depth, right.data(),
                                {out.data(),
                                 stride,
                                 of.is_bf16,
                                 {.bias = of.bias ? bias.data() : nullptr,
                                  .accumulate = of.accumulate,
                                  .activation = of.activation,
                                  .pre_activation = of.keeps ? kept.data() : nullptr,
                                  .derivative_of = of.derivative_of,
                                  .derivative_at = derives ? at.data() : nullptr}});
  const bool exact = of.activation != Activation::gelu && of.derivative_of != Activation::gelu;
  for (int64_t i = 0; i < size; ++i) {
    const int64_t r = i / stride, c = i % stride;
    const std::string where = product.where(r, c);
    if (c >= columns) {
      expect_close(out.get(i), 5, 0, where + ", beside the output");
      expect_close(kept.get(i), 5, 0, where + ", beside the kept values");
      continue;
    }
    const double sum = product.exact[r * columns + c] + (of.bias ? bias[c] : 0);
    const double rounded = of.is_bf16 ? from_bf16(to_bf16(static_cast<float>(sum))) : sum;
    if (of.keeps) expect_close(kept.get(i), rounded, 0, where + ", kept");
    const double result = wanted(of, sum, 5, at.get(i)), u = derives ? 0 : rounded;
    expect_close(out.get(i), result, exact ? 0 : gelu_bound(family, u, result, of.is_bf16) + (derives ? 1e-5 : 0),
                 where);
  }
}

constexpr Activation none = Activation::none, relu = Activation::relu, gelu_kind = Activation::gelu;
const std::vector<Case> cases = {
    {"to float32", false, false, false, false, none, false, none},
    {"to float32 with bias", false, false, true, false, none, false, none},
    {"added to float32", false, false, false, true, none, false, none},
    {"to bfloat16", false, true, false, false, none, false, none},
    {"to bfloat16 with bias and ReLU", false, true, true, false, relu, false, none},
    {"to bfloat16 with bias and GELU, keeping its input", false, true, true, false, gelu_kind, true, none},
    {"to bfloat16 times the derivative of ReLU", false, true, false, false, none, false, relu},
    {"to bfloat16 times the derivative of GELU", false, true, false, false, none, false, gelu_kind},
    {"float32 to float32", true, false, true, false, none, false, none},
    {"float32 with bias and ReLU", true, false, true, false, relu, true, none},
    {"float32 with bias and GELU, keeping its input", true, false, true, false, gelu_kind, true, none},
    {"float32 times the derivative of ReLU", true, false, false, false, none, false, relu},
    {"float32 times the derivative of GELU", true, false, false, false, none, false, gelu_kind},
};

struct AddRows {
  AddRows() {
    for (const Family& family : families())
      for (const Case& of : cases)
        // A left operand of float32 has no pairs.
        if (!family.has_pairs || !of.left_is_f32)
          tests().emplace_back(text(family.kernels->name, ": multiply_rows, ", of.name), [=] { check(family, of); });
  }
  static void check(const Family& family, const Case& of) {
    // Every edge tile: 1 … 6 rows, every number of vectors of columns, several blocks of rows and several panels.
    for (const int64_t rows : {1, 2, 3, 4, 5, 6, 7, 50})
      for (const int64_t columns : {1, 8, 9, 16, 17, 33, 63, 64, 65, 130}) check_rows(family, of, {rows, columns, 18});
    check_rows(family, of, {3, 20, 2});
    check_rows(family, of, {64, 64, 64});  // whole squares of matrix units
    check_rows(family, of, {160, 33, 96});
    check_rows(family, of, {7, 70, 130});
    if (!family.has_pairs) check_rows(family, of, {5, 19, 7});
  }
};
const AddRows add_rows;

void check_packed(const Family& family, const Product& product, bool accumulate) {
  const auto [rows, columns, depth] = std::tuple{product.rows, product.columns, product.depth};
  Array<uint16_t> turned(depth * rows);  // pack_left takes [depth × rows]
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t k = 0; k < depth; ++k) turned[k * rows + r] = product.left[r * depth + k];
  const Array<Cell> left = packed(family, turned.data(), rows, depth, true);
  const Array<Cell> right = packed(family, product.right.data(), columns, depth);
  const int64_t stride = columns + 2, size = (rows - 1) * stride + columns;
  Array<float> out(size, 5);
  family.kernels->multiply_packed(left.data(), rows, right.data(), columns, depth,
                                  {out.data(), stride, false, {.accumulate = accumulate}});
  for (int64_t i = 0; i < size; ++i) {
    const int64_t r = i / stride, c = i % stride;
    const double sum = c < columns ? product.exact[r * columns + c] + (accumulate ? 5 : 0) : 5;
    expect_close(out[i], sum, 0, product.where(r, c));
  }
}

const AddForFamilies packed_test("multiply_packed", [](const Family& family) {
  for (const int64_t rows : {1, 5, 6, 7, 12, 13, 15, 16, 17, 24, 40, 50})
    for (const int64_t columns : {1, 16, 33, 64, 70})
      for (const int64_t depth : {1, 7, 32})
        for (const bool accumulate : {false, true}) check_packed(family, {rows, columns, depth}, accumulate);
  for (const int64_t depth : {64, 100}) check_packed(family, {96, 128, depth}, true);
});

const AddForFamilies fractions_test("products of fractions", [](const Family& family) {
  Product product(13, 70, 514);
  Random random(5);
  for (int64_t i = 0; i < product.left.count(); ++i) product.left[i] = to_bf16(random.uniform());
  for (int64_t i = 0; i < product.right.count(); ++i) product.right[i] = to_bf16(random.uniform());
  product.multiply();
  const Array<Cell> right = packed(family, product.right.data(), 70, 514);
  Array<float> out(13 * 70);
  family.kernels->multiply_rows({product.left.data(), 514, false, family.has_pairs}, 13, 70, 514, right.data(),
                                {out.data(), 70, false, {}});
  // 514 roundings of partial sums that stay below 32.
  for (int64_t i = 0; i < out.count(); ++i)
    expect_close(out[i], product.exact[i], 514 * std::ldexp(32, -24), product.where(i / 70, i % 70));
});

const AddForFamilies extremes_test("NaN, infinities, zeros and denormal values", [](const Family& family) {
  // Row r of the left operand holds one value and ones; the right one holds ones, in column 1 zeros.
  const float values[] = {nan, infinity, -infinity, 0.0f, -0.0f, 3e38f};
  Array<uint16_t> left(7 * 4, to_bf16(1)), matrix(4 * 2, to_bf16(1));
  for (int r = 0; r < 6; ++r) left[4 * r + r % 4] = to_bf16(values[r]);
  left[4 * 6] = 0x0012;  // denormal: vdpbf16ps takes it for zero
  for (int k = 0; k < 4; ++k) matrix[2 * k + 1] = 0;
  const Array<Cell> right = packed(family, matrix.data(), 2, 4);
  Array<float> out(7 * 2);
  family.kernels->multiply_rows({left.data(), 4, false, family.has_pairs}, 7, 2, 4, right.data(),
                                {out.data(), 2, false, {}});
  const double sums[] = {nan, infinity, -infinity, 3, 3, from_bf16(to_bf16(3e38f)), 3};
  for (int r = 0; r < 7; ++r) {
    expect_close(out[2 * r], sums[r], 0, text("row ", r, " times ones"));
    expect_close(out[2 * r + 1], r < 3 ? nan : 0, 0, text("row ", r, " times zeros"));
  }
  if (!family.has_pairs) return;
  // Products of pairs below 2⁻¹²⁶ are zero.
  Array<uint16_t> tiny(2, to_bf16(std::ldexp(1.0f, -70))), tiny_column(2, to_bf16(std::ldexp(1.0f, -60)));
  const Array<Cell> tiny_right = packed(family, tiny_column.data(), 1, 2);
  family.kernels->multiply_rows({tiny.data(), 2, false, true}, 1, 1, 2, tiny_right.data(), {out.data(), 1, false, {}});
  expect_close(out[0], 0, 0, "2⁻⁷⁰ · 2⁻⁶⁰, twice");
});

/// Every bfloat16 value but denormal ones, whose results are denormal or zero.
template <class Check>
void every_half(Check&& check) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits)
    if (std::fpclassify(from_bf16(static_cast<uint16_t>(bits))) != FP_SUBNORMAL) check(static_cast<uint16_t>(bits));
}

/// Runs gelu and gelu_backward on every bfloat16 value, in the dtype of the activations.
void check_activations(const Family& family, bool is_bf16) {
  Values input(0x10000, is_bf16), gradient(0x10000, is_bf16), result(0x10000, is_bf16), slope(0x10000, is_bf16);
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    if (is_bf16)
      input.halves[bits] = static_cast<uint16_t>(bits);
    else
      input.floats[bits] = from_bf16(static_cast<uint16_t>(bits));
    gradient.set(bits, -2);
  }
  family.kernels->gelu(is_bf16, input.data(), 0x10000, result.data());
  family.kernels->gelu_backward(is_bf16, gradient.data(), input.data(), 0x10000, slope.data());
  every_half([&](uint16_t bits) {
    const double u = from_bf16(bits), value = u == -infinity ? nan : gelu_of(u);
    expect_close(result.get(bits), value, gelu_bound(family, u, value, is_bf16), text("gelu(", u, ")"));
    const double derivative = std::isinf(u) ? nan : -2 * gelu_slope(u);
    // Near its zero at −0.75 the derivative is a difference of numbers near 0.23: 1.5e-7 of them is the kernel's error.
    expect_close(slope.get(bits), derivative, (is_bf16 ? ulp(derivative) : 0) + 1e-6, text("the derivative at ", u));
  });
}

const AddForFamilies activations_test("gelu and its derivative, of every bfloat16 value", [](const Family& family) {
  check_activations(family, true);
  if (!family.has_pairs) check_activations(family, false);
});

// A denormal result takes some processors 150 ns.
const AddForFamilies underflow_test("gelu and its derivative underflow nowhere", [](const Family& family) {
  if (!family.has_pairs) return;
  std::vector<uint16_t> values;
  every_half([&](uint16_t bits) {
    if (std::fabs(from_bf16(bits)) > 1e-8f) values.push_back(bits);
  });
  const auto count = static_cast<int64_t>(values.size());
  Values input(count, true), gradient(count, true), result(count, true);
  for (int64_t i = 0; i < count; ++i) {
    input.halves[i] = values[i];
    gradient.set(i, 1);
  }
  std::feclearexcept(FE_ALL_EXCEPT);
  family.kernels->gelu(true, input.data(), count, result.data());
  family.kernels->gelu_backward(true, gradient.data(), input.data(), count, result.data());
  if (std::fetestexcept(FE_UNDERFLOW)) throw std::string("expected no underflow");
});

const AddForFamilies odd_counts_test("gelu and its derivative, of any count", [](const Family& family) {
  for (const int64_t count : {1, 7, 8, 9, 15, 16, 17, 33})
    for (const bool is_bf16 : {true, false}) {
      if (family.has_pairs && !is_bf16) continue;
      Values input(count, is_bf16), result(count + 1, is_bf16), slope(count + 1, is_bf16);
      for (int64_t i = 0; i < count; ++i) input.set(i, 0.5f);
      family.kernels->gelu(is_bf16, input.data(), count, result.data());
      family.kernels->gelu_backward(is_bf16, input.data(), input.data(), count, slope.data());
      for (int64_t i = 0; i <= count; ++i) {
        const std::string where = text(count, " values, at ", i);
        expect_close(result.get(i), i < count ? gelu_of(0.5) : 5, 0.002, where);
        expect_close(slope.get(i), i < count ? 0.5 * gelu_slope(0.5) : 5, 0.003, where);
      }
    }
});

}  // namespace

}  // namespace kernels
