// Matrix products with float32 sums. Families of kernels have one interface: pairs of bfloat16 for CPUs with
// AVX512-BF16 or with matrix units, and float32, which take bfloat16 operands too, for every other case. Each function
// runs on the calling thread; products.cc spreads the work.
#pragma once
#include "epilogue.h"

namespace rfdetr::gemm {

/// A row-major matrix of float32 or bfloat16; `stride` in elements.
struct Source {
  const void* data;
  int64_t stride;
  bool is_f32;
  bool rounds;  // float32 values are rounded to bfloat16 while they are packed

  /// The same matrix from another first element on.
  Source from(int64_t row, int64_t column) const {
    const int64_t bytes = (row * stride + column) * (is_f32 ? 4 : 2);
    return {static_cast<const char*>(data) + bytes, stride, is_f32, rounds};
  }
};

/// Where a product is written: row-major, bfloat16 or float32; `stride` in elements.
struct Output {
  void* data;
  int64_t stride;
  bool is_bf16;
  Epilogue epilogue;
};

/// One element, or a pair of neighbouring elements, of a packed operand along the summed axis.
using Cell = int32_t;

/// What the inner loops read, of float32 values or of pairs: element k of row r lies at data[r · row + k · step].
template <class T>
struct LeftOperand {
  const T* data;
  int64_t row, step;

  LeftOperand from_row(int64_t r) const { return {data + r * row, row, step}; }
};

/// The elements k of all columns lie at data[k · stride].
template <class T>
struct RightOperand {
  const T* data;
  int64_t stride;
};

/// The products of one instruction set. Operands are packed into panels of a few columns, in its own form.
struct Kernels {
  const char* name;
  /// Columns of a packed panel of the right operand, and of the left one.
  int64_t right_width, left_width;
  /// Elements of the summed axis in a cell: two bfloat16 values, or one float32 value.
  int64_t cell_elements;
  /// Cells of a panel are a multiple of this; those past the depth are zeros.
  int64_t cell_unit;
  /// Rows that are summed at once.
  int64_t row_unit;

  /// Packs panels first…last of the right operand Wᵀ: rows of `weight` [columns × depth] become columns. A column has
  /// `cells`, which is cells(depth).
  void (*pack_transposed)(const Source& weight, int64_t columns, int64_t depth, int64_t cells, int64_t first,
                          int64_t last, Cell* packed);
  /// Packs panels first…last of the right operand `matrix` [depth × columns].
  void (*pack_right)(const Source& matrix, int64_t columns, int64_t depth, int64_t cells, int64_t first, int64_t last,
                     Cell* packed);
  /// The same for the left operand. Matrix units want squares of 16 cells transposed. `sums` [columns], if given, is
  /// increased by the sum of each column.
  void (*pack_left)(const Source& matrix, int64_t columns, int64_t depth, int64_t cells, int64_t first, int64_t last,
                    Cell* packed, float* sums);
  /// output [rows × columns] = left · right, for contiguous rows `left` [rows × depth], of whole cells, and a right
  /// operand from pack_transposed or pack_right.
  void (*multiply_rows)(const Source& left, int64_t rows, int64_t columns, int64_t depth, const Cell* right,
                        const Output& output);
  /// output [rows × columns] = leftᵀ · right: `left` from pack_left of `rows` columns, `right` from pack_right.
  void (*multiply_packed)(const Cell* left, int64_t rows, const Cell* right, int64_t columns, int64_t depth,
                          const Output& output);

  /// GELU of `count` values of bfloat16 or float32, with the bits of the epilogue. Kernels of pairs take bfloat16 only.
  void (*gelu)(bool is_bf16, const void* input, int64_t count, void* result);
  /// gradient · gelu'(input).
  void (*gelu_backward)(bool is_bf16, const void* gradient, const void* input, int64_t count, void* result);

  /// Cells of a column of a packed panel.
  int64_t cells(int64_t depth) const {
    const int64_t unit = cell_unit * cell_elements;
    return (depth + unit - 1) / unit * cell_unit;
  }
  /// Cells of packed panels of `width` columns.
  int64_t packed_size(int64_t columns, int64_t width, int64_t depth) const {
    return (columns + width - 1) / width * width * cells(depth);
  }
};

/// The kernels for a left operand of float32 or bfloat16; null where this CPU has none that are worth it.
const Kernels* kernels(bool is_bf16);

/// The kernels of each instruction set; null where the addon was built without them.
const Kernels* amx_pair_kernels();
const Kernels* avx512_pair_kernels();
const Kernels* avx512_f32_kernels();
const Kernels* avx2_f32_kernels();

/// Packs panels first…last, of `width` columns, of a weight as the right operand of an input from split_rows, in
/// kernels of pairs: its rounded values, what rounding left, itself rounded, and the rounded values again. A column has
/// `cells`.
void pack_split(const Source& weight, int64_t columns, int64_t depth, int64_t width, int64_t cells, int64_t first,
                int64_t last, Cell* packed);

/// Splits float32 rows [rows × depth] into bfloat16 rows [rows × 3·depth]: [hi, hi, lo], where hi is the rounded value
/// and lo the rounded rest. Against panels [hi, lo, hi] one product sums hi·hi + hi·lo + lo·hi: 16 bits of each.
void split_rows(const float* from, int64_t rows, int64_t depth, uint16_t* to);

}  // namespace rfdetr::gemm
