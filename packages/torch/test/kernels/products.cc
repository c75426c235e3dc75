// The products of gemm_avx512.cc. Whole numbers make sums exact in float32, in any order.
#include "check.h"
#include "kernels/pack_avx512.h"

#include <algorithm>

namespace kernels {

namespace {

using namespace rfdetr::gemm;

double gelu_of(double u) { return 0.5 * u * std::erfc(-u * std::sqrt(0.5)); }
double gelu_slope(double u) {
  return 0.5 * std::erfc(-u * std::sqrt(0.5)) + u * std::exp(-0.5 * u * u) * 0.39894228040143268;
}

/// Distance of neighbouring bfloat16 values at this size.
double ulp(double value) { return std::ldexp(1, std::max(-126, std::ilogb(value == 0 ? 1e-38 : value)) - 7); }
/// Bound of an error of GELU: the polynomial is off by up to 4 % of the tail far out on the left.
double gelu_bound(double u, double exact) { return ulp(exact) + (u < -4 ? 0.04 * std::fabs(exact) : 0) + 1e-30; }

void multiply_rows(const uint16_t* left, int64_t rows, int64_t columns, int64_t depth, const Pair* right,
                   const Output& output) {
  avx512_pair_kernels()->multiply_rows({left, depth, false, true}, rows, columns, depth, right, output);
}
void multiply_packed(const Pair* left, int64_t rows, const Pair* right, int64_t columns, int64_t depth,
                     const Output& output) {
  avx512_pair_kernels()->multiply_packed(left, rows, right, columns, depth, output);
}
void gelu(const uint16_t* input, int64_t count, uint16_t* result) {
  avx512_pair_activations()->gelu(input, count, result);
}
void gelu_backward(const uint16_t* gradient, const uint16_t* input, int64_t count, uint16_t* result) {
  avx512_pair_activations()->gelu_backward(gradient, input, count, result);
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

int64_t panels_of(int64_t columns, int64_t width) { return (columns + width - 1) / width; }

/// The right operand as panels.
struct Packed {
  Array<Pair> pairs;
  Packed(const uint16_t* matrix, int64_t columns, int64_t depth, int64_t width)
      : pairs(avx512_pair_kernels()->packed_size(columns, width, depth)) {
    const Source source{matrix, columns, false};
    if (width == right_width)
      pack_right(source, columns, depth, 0, panels_of(columns, width), pairs.data());
    else
      pack_left(source, columns, depth, 0, panels_of(columns, width), pairs.data(), nullptr);
  }
};

struct Case {
  const char* name;
  bool is_bf16, bias, accumulate;
  Activation activation;
  bool keeps;
  Activation derivative_of;
};

/// An element of the result, from the exact sum; what lies in the output before is `before`, and `at` is the operand of
/// the derivative.
double wanted(const Case& of, double sum, float before, float at) {
  if (!of.is_bf16) return sum + (of.accumulate ? before : 0);
  double value = from_bf16(to_bf16(static_cast<float>(sum)));
  // The kernel's max returns its second operand, which is NaN.
  if (of.activation == Activation::relu) value = std::isnan(value) ? value : std::max(0.0, value);
  if (of.activation == Activation::gelu) value = gelu_of(value);
  if (of.derivative_of == Activation::relu) value = at > 0 ? value : 0;
  if (of.derivative_of == Activation::gelu) value *= gelu_slope(at);
  return value;
}

void check_rows(const Case& of, const Product& product) {
  const int64_t rows = product.rows, columns = product.columns, stride = columns + 3,
                size = (rows - 1) * stride + columns;
  const Packed right(product.right.data(), columns, product.depth, right_width);
  Random random(7);
  Array<float> bias(columns), floats(of.is_bf16 ? 0 : size, 5);
  Array<uint16_t> halves(of.is_bf16 ? size : 0, 0x40A0), kept(of.keeps ? size : 0, 0x40A0);
  const bool derives = of.derivative_of != Activation::none;
  Array<uint16_t> at(derives ? size : 0);
  for (int64_t i = 0; i < columns; ++i) bias[i] = random.whole();
  for (int64_t i = 0; i < at.count(); ++i) at[i] = to_bf16(random.uniform() * 3);
  Output output{of.is_bf16 ? static_cast<void*>(halves.data()) : floats.data(), stride, of.is_bf16, {}};
  output.epilogue = {.bias = of.bias ? bias.data() : nullptr,
                     .accumulate = of.accumulate,
                     .activation = of.activation,
                     .pre_activation = of.keeps ? kept.data() : nullptr,
                     .derivative_of = of.derivative_of,
                     .derivative_at = derives ? at.data() : nullptr};
  multiply_rows(product.left.data(), rows, columns, product.depth, right.pairs.data(), output);
  for (int64_t i = 0; i < size; ++i) {
    const int64_t r = i / stride, c = i % stride;
    const double got = of.is_bf16 ? from_bf16(halves[i]) : floats[i];
    if (c >= columns) {
      expect_close(got, 5, 0, product.where(r, c) + ", beside the output");
      if (of.keeps) expect_close(from_bf16(kept[i]), 5, 0, product.where(r, c) + ", beside the kept values");
      continue;
    }
    const double sum = product.exact[r * columns + c] + (of.bias ? bias[c] : 0);
    if (of.keeps) expect_bits(kept[i], to_bf16(static_cast<float>(sum)), product.where(r, c) + ", kept");
    const double result = wanted(of, sum, 5, derives ? from_bf16(at[i]) : 0);
    const bool exact = of.activation != Activation::gelu && of.derivative_of != Activation::gelu;
    expect_close(got, result, exact ? 0 : gelu_bound(sum, result), product.where(r, c));
  }
}

constexpr Activation none = Activation::none, relu = Activation::relu, gelu_kind = Activation::gelu;
const Case cases[] = {
    {"float32", false, false, false, none, false, none},
    {"float32 with bias", false, true, false, none, false, none},
    {"float32 added to the output", false, false, true, none, false, none},
    {"bfloat16", true, false, false, none, false, none},
    {"bfloat16 with bias and ReLU", true, true, false, relu, false, none},
    {"bfloat16 with bias and GELU, keeping its input", true, true, false, gelu_kind, true, none},
    {"bfloat16 times the derivative of ReLU", true, false, false, none, false, relu},
    {"bfloat16 times the derivative of GELU", true, false, false, none, false, gelu_kind},
};

struct AddRows {
  AddRows() {
    for (const Case& of : cases)
      tests().emplace_back(text("multiply_rows: ", of.name), [&of] {
        // Every edge tile: 1 … 6 rows and 1 … 4 vectors of columns, more than one block of rows, several panels.
        for (const int64_t rows : {1, 2, 3, 4, 5, 6, 7, 50})
          for (const int64_t columns : {1, 16, 17, 33, 63, 64, 65, 130}) check_rows(of, {rows, columns, 18});
        check_rows(of, {3, 20, 2});
        check_rows(of, {7, 70, 130});
      });
  }
};
const AddRows add_rows;

void check_packed(const Product& product, bool accumulate) {
  const auto [rows, columns, depth] = std::tuple{product.rows, product.columns, product.depth};
  Array<uint16_t> turned(depth * rows);  // pack_left takes [depth × rows]
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t k = 0; k < depth; ++k) turned[k * rows + r] = product.left[r * depth + k];
  const Packed left(turned.data(), rows, depth, left_width), right(product.right.data(), columns, depth, right_width);
  const int64_t stride = columns + 2, size = (rows - 1) * stride + columns;
  Array<float> out(size, 5);
  multiply_packed(left.pairs.data(), rows, right.pairs.data(), columns, depth,
                  {out.data(), stride, false, {.accumulate = accumulate}});
  for (int64_t i = 0; i < size; ++i) {
    const int64_t r = i / stride, c = i % stride;
    const double sum = c < columns ? product.exact[r * columns + c] + (accumulate ? 5 : 0) : 5;
    expect_close(out[i], sum, 0, product.where(r, c));
  }
}

const Add packed_test("multiply_packed", [] {
  for (const int64_t rows : {1, 5, 6, 7, 12, 13, 15, 16, 17, 40})
    for (const int64_t columns : {1, 16, 33, 64, 70})
      for (const int64_t depth : {1, 7, 32})
        for (const bool accumulate : {false, true}) check_packed({rows, columns, depth}, accumulate);
});

const Add fractions_test("products of fractions", [] {
  Product product(13, 70, 514);
  Random random(5);
  for (int64_t i = 0; i < product.left.count(); ++i) product.left[i] = to_bf16(random.uniform());
  for (int64_t i = 0; i < product.right.count(); ++i) product.right[i] = to_bf16(random.uniform());
  product.multiply();
  const Packed right(product.right.data(), 70, 514, right_width);
  Array<float> out(13 * 70);
  multiply_rows(product.left.data(), 13, 70, 514, right.pairs.data(), {out.data(), 70, false, {}});
  // 514 roundings of partial sums that stay below 32.
  for (int64_t i = 0; i < out.count(); ++i)
    expect_close(out[i], product.exact[i], 514 * std::ldexp(32, -24), product.where(i / 70, i % 70));
});

const Add extremes_test("NaN, infinities, zeros and denormal values", [] {
  // Row r of the left operand holds one value and ones; the right one holds ones, in column 1 zeros.
  const float values[] = {nan, infinity, -infinity, 0.0f, -0.0f, 3e38f};
  Array<uint16_t> left(7 * 4, to_bf16(1)), matrix(4 * 2, to_bf16(1));
  for (int r = 0; r < 6; ++r) left[4 * r + r % 4] = to_bf16(values[r]);
  left[4 * 6] = 0x0012;  // denormal: vdpbf16ps takes it for zero
  for (int k = 0; k < 4; ++k) matrix[2 * k + 1] = 0;
  const Packed right(matrix.data(), 2, 4, right_width);
  Array<float> out(7 * 2);
  multiply_rows(left.data(), 7, 2, 4, right.pairs.data(), {out.data(), 2, false, {}});
  const double sums[] = {nan, infinity, -infinity, 3, 3, from_bf16(to_bf16(3e38f)), 3};
  for (int r = 0; r < 7; ++r) {
    expect_close(out[2 * r], sums[r], 0, text("row ", r, " times ones"));
    expect_close(out[2 * r + 1], r < 3 ? nan : 0, 0, text("row ", r, " times zeros"));
  }
  // Products and sums below 2⁻¹²⁶ are zero.
  Array<uint16_t> tiny(2, to_bf16(std::ldexp(1.0f, -70))), tiny_column(2, to_bf16(std::ldexp(1.0f, -60)));
  const Packed tiny_right(tiny_column.data(), 1, 2, right_width);
  multiply_rows(tiny.data(), 1, 1, 2, tiny_right.pairs.data(), {out.data(), 1, false, {}});
  expect_close(out[0], 0, 0, "2⁻⁷⁰ · 2⁻⁶⁰, twice");
});

/// Every bfloat16 value but denormal ones, whose results are denormal or zero.
template <class Check>
void every_half(Check&& check) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits)
    if (std::fpclassify(from_bf16(static_cast<uint16_t>(bits))) != FP_SUBNORMAL) check(static_cast<uint16_t>(bits));
}

const Add gelu_test("gelu of every bfloat16 value", [] {
  Array<uint16_t> input(0x10000), result(0x10000);
  for (uint32_t bits = 0; bits < 0x10000; ++bits) input[bits] = static_cast<uint16_t>(bits);
  gelu(input.data(), input.count(), result.data());
  every_half([&](uint16_t bits) {
    const double u = from_bf16(bits), exact = u == -infinity ? nan : gelu_of(u);
    expect_close(from_bf16(result[bits]), exact, gelu_bound(u, exact), text("gelu(", u, ")"));
  });
});

const Add gelu_backward_test("gelu_backward of every bfloat16 value", [] {
  Array<uint16_t> input(0x10000), gradient(0x10000, to_bf16(-2)), result(0x10000);
  for (uint32_t bits = 0; bits < 0x10000; ++bits) input[bits] = static_cast<uint16_t>(bits);
  gelu_backward(gradient.data(), input.data(), input.count(), result.data());
  every_half([&](uint16_t bits) {
    const double u = from_bf16(bits), exact = std::isinf(u) ? nan : -2 * gelu_slope(u);
    // Near its zero at −0.75 the derivative is a difference of numbers near 0.23: 1.5e-7 of them is the kernel's error.
    expect_close(from_bf16(result[bits]), exact, ulp(exact) + 1e-6, text("the derivative at ", u));
  });
});

const Add odd_counts_test("gelu and gelu_backward of any count", [] {
  for (const int64_t count : {1, 15, 16, 17, 33}) {
    Array<uint16_t> input(count, to_bf16(0.5f)), result(count + 1, 0x1234), slope(count + 1, 0x1234);
    gelu(input.data(), count, result.data());
    gelu_backward(input.data(), input.data(), count, slope.data());
    for (int64_t i = 0; i <= count; ++i) {
      const std::string where = text(count, " values, at ", i);
      if (i == count)
        expect_bits(result[i], 0x1234, where), expect_bits(slope[i], 0x1234, where);
      else
        expect_close(from_bf16(result[i]), gelu_of(0.5), 0.002, where);
      if (i < count) expect_close(from_bf16(slope[i]), 0.5 * gelu_slope(0.5), 0.003, where);
    }
  }
});

}  // namespace

}  // namespace kernels
