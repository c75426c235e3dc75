// The panels of pack_avx512.cc, value by value.
#include "check.h"
#include "kernels/pack_avx512.h"

namespace kernels {

namespace {

using namespace rfdetr::gemm;

/// A matrix of both dtypes whose rows are longer than they are wide. Its last row ends the memory.
struct Matrix {
  int64_t rows, columns, stride;
  bool is_f32;
  Array<float> floats;
  Array<uint16_t> halves;

  Matrix(int64_t rows, int64_t columns, int64_t gap, bool is_f32, uint64_t seed)
      : rows(rows),
        columns(columns),
        stride(columns + gap),
        is_f32(is_f32),
        floats(is_f32 ? size() : 0),
        halves(is_f32 ? 0 : size()) {
    Random random(seed);
    const float extreme[] = {0.0f, -0.0f, infinity, -infinity, nan, 1e-40f, -1e-40f, 3.4e38f, 1.00390625f};
    for (int64_t i = 0; i < size(); ++i) {
      const float value = i % 23 == 7 ? extreme[i / 23 % 9] : random.uniform();
      if (is_f32)
        floats[i] = value;
      else
        halves[i] = i % 29 == 3 ? 0x0012 : to_bf16(value);  // the former is denormal
    }
  }
  int64_t size() const { return rows == 0 ? 0 : (rows - 1) * stride + columns; }
  Source source() const { return {is_f32 ? static_cast<const void*>(floats.data()) : halves.data(), stride, is_f32}; }
  /// The value as it is packed, or its rounding error; zero outside of the matrix.
  uint16_t packed(int64_t row, int64_t column, bool residual = false) const {
    if (row >= rows || column >= columns) return 0;
    const int64_t i = row * stride + column;
    if (!is_f32) return halves[i];
    const uint16_t rounded = to_bf16(floats[i]);
    return residual ? to_bf16(floats[i] - from_bf16(rounded)) : rounded;
  }
};

/// Whether two bfloat16 values have the same bits, or are both NaN: a rest such as ∞ − ∞ may have either sign.
void expect_half(uint32_t got, uint16_t wanted, const std::string& where) {
  if (std::isnan(from_bf16(wanted)) && std::isnan(from_bf16(static_cast<uint16_t>(got)))) return;
  expect_bits(got, wanted, where);
}
void expect_pair(Pair pair, uint16_t first, uint16_t second, const std::string& where) {
  expect_half(static_cast<uint32_t>(pair) & 0xFFFF, first, where);
  expect_half(static_cast<uint32_t>(pair) >> 16, second, where);
}

void transposed(int64_t columns, int64_t depth, bool is_f32, bool residual) {
  const Matrix weight(columns, depth, 6, is_f32, columns + depth);
  const int64_t panels = (columns + right_width - 1) / right_width, pairs = (depth + 1) / 2;
  const int64_t apart = pairs * right_width + 32;  // panels that lie apart, as those of a split weight do
  Array<Pair> packed(panels * apart, 77);
  for (int64_t panel = 0; panel < panels; ++panel)
    pack_transposed(weight.source(), columns, depth, panel, panel + 1, packed.data(), apart, residual);
  for (int64_t panel = 0; panel < panels; ++panel)
    for (int64_t i = 0; i < apart; ++i) {
      const int64_t k = i / right_width, column = panel * right_width + i % right_width;
      const std::string where = text("columns ", columns, ", depth ", depth, ", column ", column, ", pair ", k);
      const Pair pair = packed[panel * apart + i];
      if (k >= pairs)
        expect_bits(pair, 77, where);
      else
        expect_pair(pair, weight.packed(column, 2 * k, residual), weight.packed(column, 2 * k + 1, residual), where);
    }
}

/// pack_right or pack_left, in two calls.
void by_rows(int64_t columns, int64_t depth, bool is_f32, bool left, bool summed) {
  const Matrix matrix(depth, columns, 5, is_f32, columns * depth);
  const int64_t width = left ? left_width : right_width, panels = (columns + width - 1) / width;
  Array<Pair> packed(panels * width * ((depth + 1) / 2), 77);
  Array<float> sums(summed ? columns : 0, 2);
  const int64_t middle = panels / 2;
  for (const auto& [first, last] : {std::pair{int64_t{0}, middle}, std::pair{middle, panels}}) {
    if (left)
      pack_left(matrix.source(), columns, depth, first, last, packed.data(), summed ? sums.data() : nullptr);
    else
      pack_right(matrix.source(), columns, depth, first, last, packed.data());
  }
  const int64_t pairs = (depth + 1) / 2;
  for (int64_t i = 0; i < packed.count(); ++i) {
    const int64_t column = i / (pairs * width) * width + i % width, k = i / width % pairs;
    expect_pair(packed[i], matrix.packed(2 * k, column), matrix.packed(2 * k + 1, column),
                text("columns ", columns, ", depth ", depth, ", column ", column, ", pair ", k));
  }
  for (int64_t column = 0; column < sums.count(); ++column) {
    double sum = 2, size = 2;
    for (int64_t row = 0; row < depth; ++row) {
      const float value = from_bf16(matrix.packed(row, column));
      sum += std::fpclassify(value) == FP_SUBNORMAL ? 0 : value;
      size += std::fabs(value);
    }
    expect_close(sums[column], std::fabs(sum) > 3.4028e38 ? std::copysign(infinity, sum) : sum,
                 std::isfinite(size) ? size * 1e-6 : 0, text("the sum of column ", column));
  }
}

const int64_t columns_to_try[] = {1, 15, 16, 17, 63, 64, 65, 130, 200};

const Add pack_transposed_test("pack_transposed", [] {
  for (const int64_t columns : columns_to_try)
    for (const int64_t depth : {1, 2, 30, 31, 32, 34, 66})
      for (const int kind : {0, 1, 2}) transposed(columns, depth, kind > 0, kind == 2);
});

const Add pack_right_test("pack_right", [] {
  for (const int64_t columns : columns_to_try)
    for (const int64_t depth : {1, 2, 3, 17, 40})
      for (const bool is_f32 : {false, true}) by_rows(columns, depth, is_f32, false, false);
});

const Add pack_left_test("pack_left", [] {
  for (const int64_t columns : columns_to_try)
    for (const int64_t depth : {1, 2, 3, 17, 40})
      for (const bool is_f32 : {false, true})
        for (const bool summed : {false, true}) by_rows(columns, depth, is_f32, true, summed);
});

const Add split_rows_test("split_rows", [] {
  for (const int64_t depth : {1, 2, 15, 16, 17, 31, 32, 33, 70})
    for (const int64_t rows : {1, 3}) {
      const Matrix matrix(rows, depth, 0, true, depth);
      Array<uint16_t> split(rows * 3 * depth);
      split_rows(matrix.floats.data(), rows, depth, split.data());
      for (int64_t i = 0; i < split.count(); ++i) {
        const int64_t row = i / (3 * depth), part = i / depth % 3, k = i % depth;
        expect_half(split[i], matrix.packed(row, k, part == 2),
                    text("depth ", depth, ", row ", row, ", part ", part, ", element ", k));
      }
    }
});

}  // namespace

}  // namespace kernels
