// Matrix products of bfloat16 operands with float32 sums, for CPUs with AVX512-BF16. Each function runs on the calling
// thread; products.cc spreads the work.
#pragma once
#include "epilogue.h"

namespace rfdetr::gemm {

/// Two neighbouring bfloat16 values along the summed axis, the operand of vdpbf16ps.
using Pair = int32_t;

/// Columns of a packed panel of the right operand, and of the left one.
constexpr int64_t right_width = 64, left_width = 16;
/// Rows of one register tile.
constexpr int64_t tile_rows = 6;

/// Whether this CPU has AVX512-BF16, and RFDETR_ISA does not hide it.
bool supported();

/// Pairs in `panels` packed panels of `width` columns, over `depth` elements of the summed axis.
constexpr int64_t packed_size(int64_t panels, int64_t width, int64_t depth) {
  return panels * width * ((depth + 1) / 2);
}

/// A row-major matrix; `stride` in elements.
struct Source {
  const void* data;
  int64_t stride;
  bool is_f32;  // float32, rounded to bfloat16 while it is packed; otherwise bfloat16
};

/// Packs panels first…last of the right operand Wᵀ: rows of `weight` [columns × depth] become columns. Panels lie
/// `panel_size` pairs apart. With `residual`, packs the rounding error of each weight, itself rounded to bfloat16.
void pack_transposed(Source weight, int64_t columns, int64_t depth, int64_t first, int64_t last, Pair* packed,
                     int64_t panel_size, bool residual);

/// Packs panels first…last of the right operand `matrix` [depth × columns]: two neighbouring rows become pairs.
void pack_right(Source matrix, int64_t columns, int64_t depth, int64_t first, int64_t last, Pair* packed);
/// The same for the left operand. `sums` [columns], if given, is increased by the sum of each column.
void pack_left(Source matrix, int64_t columns, int64_t depth, int64_t first, int64_t last, Pair* packed, float* sums);

/// Splits float32 rows [rows × depth] into bfloat16 rows [rows × 3·depth]: [hi, hi, lo], where hi is the rounded value
/// and lo the rounded rest. Against panels [hi, lo, hi] one product sums hi·hi + hi·lo + lo·hi: 16 bits of each.
void split_rows(const float* from, int64_t rows, int64_t depth, uint16_t* to);

/// Where a product is written: row-major, bfloat16 or float32; `stride` in elements.
struct Output {
  void* data;
  int64_t stride;
  bool is_bf16;
  Epilogue epilogue;
};

/// output [rows × columns] = left · right, for bfloat16 `left` [rows × depth], contiguous and of even depth, and a
/// right operand from pack_transposed or pack_right.
void multiply_rows(const uint16_t* left, int64_t rows, int64_t columns, int64_t depth, const Pair* right,
                   const Output& output);

/// output [rows × columns] = leftᵀ · right: `left` from pack_left of `rows` columns, `right` from pack_right.
void multiply_packed(const Pair* left, int64_t rows, const Pair* right, int64_t columns, int64_t depth,
                     const Output& output);

/// GELU of `count` bfloat16 values.
void gelu(const uint16_t* input, int64_t count, uint16_t* result);
/// gradient · gelu'(input).
void gelu_backward(const uint16_t* gradient, const uint16_t* input, int64_t count, uint16_t* result);

}  // namespace rfdetr::gemm
