// compile: -O3 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512bf16 -mamx-tile -mamx-bf16 -mfma -fno-math-errno
// Matrix products in matrix units. Operands are packed as for AVX512-BF16, since a tile of the right operand has the
// pairs of sixteen columns in a row, as a panel has; depths are filled up with zeros to whole tiles. Rows of the left
// operand are read where they are. A square of 32 × 32 sums reads four tiles for four products, and goes through memory
// to the epilogue. One thread sums each element in one order, however the work is spread.
#include "gemm.h"

#ifdef __AMX_BF16__
#include "epilogue_avx512.h"
#include "pack_avx512.h"
#include "tiles_amx.h"

#include <algorithm>

namespace rfdetr::gemm {

namespace {

constexpr int64_t packed_rows = 2 * left_width;  // of a panel of the left operand
static_assert(packed_rows == square && right_width % square == 0);

thread_local Scratch scratch;

/// Writes at most 32 rows of one panel: of its `columns`, from column `column` of the output on.
void multiply_panel(const Tiles& left, const Pair* panel, int64_t count, const Output& output, const Tile& part) {
  alignas(64) float sums[square * square];
  for (int64_t c = 0; c < part.columns; c += square) {
    const Tile tile{part.row, part.column + c, part.rows, std::min(square, part.columns - c)};
    prefetch_tile(output, tile.row, tile.column, tile.rows, tile.columns);
    sum_square(left, {panel + c, right_width, tile_size * right_width, tile_size}, count, {sums, square, false});
    write_tile(sums, square, output, tile);
  }
}

void multiply_rows(const Source& source, int64_t rows, int64_t columns, int64_t depth, const Pair* right,
                   const Output& output) {
  // These rows stay in L2 while all panels pass.
  constexpr int64_t block = 4 * square;
  const TileRegisters registers;
  const int64_t pairs = depth / 2, padded = whole_tiles(pairs);
  for (int64_t begin = 0; begin < rows; begin += block) {
    const int64_t count = std::min(block, rows - begin);
    const Pair* left = static_cast<const Pair*>(source.data) + begin * pairs;
    if (count % square != 0 || pairs != padded) left = copy_to_squares(left, pairs, count, pairs, scratch);
    for (int64_t n = 0; n < columns; n += right_width)
      for (int64_t m = 0; m < count; m += square)
        multiply_panel({left + m * padded, padded, tile_size, tile_size * padded}, right + n * padded,
                       padded / tile_size, output,
                       {begin + m, n, std::min(square, count - m), std::min(right_width, columns - n)});
  }
}

void multiply_packed(const Pair* left, int64_t rows, const Pair* right, int64_t columns, int64_t depth,
                     const Output& output) {
  const TileRegisters registers;
  const int64_t pairs = whole_tiles((depth + 1) / 2);
  for (int64_t n = 0; n < columns; n += right_width)
    for (int64_t m = 0; m < rows; m += packed_rows)
      multiply_panel({left + m * pairs, tile_size, tile_size * tile_size, tile_size * pairs}, right + n * pairs,
                     pairs / tile_size, output,
                     {m, n, std::min(packed_rows, rows - m), std::min(right_width, columns - n)});
}

/// A panel is two panels of the kernels in vectors, in which each square of 16 × 16 pairs is transposed.
void pack_left_tiles(const Source& matrix, int64_t columns, int64_t depth, int64_t pairs, int64_t first, int64_t last,
                     Pair* packed, float* sums) {
  pack_left(matrix, columns, depth, pairs, 2 * first, 2 * last, packed, sums);
  const int64_t panel = pairs * packed_rows;
  for (Pair* at = packed + first * panel; at < packed + last * panel; at += tile_size * tile_size) {
    __m512i rows[tile_size];
    for (int r = 0; r < tile_size; ++r) rows[r] = _mm512_load_si512(at + r * tile_size);
    transpose(rows);
    for (int r = 0; r < tile_size; ++r) _mm512_store_si512(at + r * tile_size, rows[r]);
  }
}

}  // namespace

const Kernels* amx_pair_kernels() {
  static constexpr Kernels kernels{
      .name = "amx_bf16",
      .right_width = right_width,
      .left_width = packed_rows,
      .cell_elements = 2,
      .cell_unit = tile_size,
      .row_unit = square,
      .pack_transposed = pack_transposed,
      .pack_right = pack_right,
      .pack_left = pack_left_tiles,
      .multiply_rows = multiply_rows,
      .multiply_packed = multiply_packed,
      .gelu = gelu,
      .gelu_backward = gelu_backward,
  };
  return &kernels;
}

}  // namespace rfdetr::gemm
#else
const rfdetr::gemm::Kernels* rfdetr::gemm::amx_pair_kernels() { return nullptr; }
#endif
