// Matrix products of bfloat16 operands with float32 sums, for CPUs with AVX512-BF16. The pieces run on one thread each;
// callers spread them.
#pragma once
#include <cstdint>

namespace rfdetr::gemm {

/// Two neighbouring bfloat16 values along the summed axis, as vdpbf16ps takes them.
using Pair = int32_t;

/// Columns of a panel of the right operand and of the left one.
constexpr int64_t right_width = 64, left_width = 16;
/// Rows that one register tile takes from a left operand that is read as it lies.
constexpr int64_t tile_rows = 6;

bool supported();

/// Pairs of `panels` panels of `width` columns over `depth` elements of the summed axis.
constexpr int64_t packed_size(int64_t panels, int64_t width, int64_t depth) {
  return panels * width * ((depth + 1) / 2);
}

/// A row-major matrix of float32 or bfloat16; `stride` in elements.
struct Source {
  const void* data;
  int64_t stride;
  bool wide;  // float32, rounded on the way
};

/// Panels first…last of the right operand Wᵀ: rows of `weight` [columns × depth] become columns. Panels stand
/// `panel_size` pairs apart. `low` takes what rounding to bfloat16 leaves over, rounded in its turn.
void pack_transposed(Source weight, int64_t columns, int64_t depth, int64_t first, int64_t last, Pair* packed,
                     int64_t panel_size, bool low);

/// Panels first…last of `right_width` (or `left_width`) columns of `matrix` [depth × columns]: neighbouring rows become
/// pairs. `sums` [columns], if given, is raised by the sum of each column.
void pack_right(Source matrix, int64_t columns, int64_t depth, int64_t first, int64_t last, Pair* packed);
void pack_left(Source matrix, int64_t columns, int64_t depth, int64_t first, int64_t last, Pair* packed, float* sums);

/// bfloat16 rows [rows × 3·depth] of float32 ones: rounded, rounded again, and what rounding left over. Against panels
/// of (rounded, left over, rounded) one product sums three, with sixteen bits of each factor.
void split_rows(const float* from, int64_t rows, int64_t depth, uint16_t* to);

enum class Activation { none, relu, gelu };

/// Where a product goes: float32, or bfloat16 where `half`, and what happens to its elements on the way.
struct Target {
  void* data;
  int64_t stride;
  bool half;
  const float* bias = nullptr;  // [columns]
  bool add = false;             // onto float32 that is there
  /// Applied to bfloat16 results. `before` takes what they were, where it is given.
  Activation activation = Activation::none;
  uint16_t* before = nullptr;
  /// Of a gradient: times the slope of `slope_of` at `at`, bfloat16 of the target's shape and stride; ReLU's is known
  /// from its result as well.
  Activation slope_of = Activation::none;
  const uint16_t* at = nullptr;
};

/// target [rows × columns] = left · right, for `left` [rows × depth] bfloat16, one row after the other, of even depth.
void multiply_rows(const uint16_t* left, int64_t rows, int64_t columns, int64_t depth, const Pair* right,
                   Target target);

/// target [rows × columns] = leftᵀ · right, both packed over one depth: `rows` columns of pack_left, `columns` of
/// pack_right.
void multiply_packed(const Pair* left, int64_t rows, const Pair* right, int64_t columns, int64_t depth, Target target);

/// GELU of `count` bfloat16 values, and of a gradient its slope: gradient · gelu'(from).
void gelu(const uint16_t* from, int64_t count, uint16_t* to);
void gelu_backward(const uint16_t* gradient, const uint16_t* from, int64_t count, uint16_t* to);

}  // namespace rfdetr::gemm
