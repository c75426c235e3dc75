// compile: -O3 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512bf16 -mamx-tile -mamx-bf16 -mfma
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

/// Columns of a packed panel of the right operand, and of the left one. So the tiles of a panel lie one after the
/// other.
constexpr int64_t panel_width = square;
static_assert(panel_width == 2 * left_width);

thread_local Scratch scratch;

/// Writes squares of the output. The sums of one wait in memory until the next is being summed: the vector units then
/// write it while the matrix units multiply.
class Squares {
 public:
  explicit Squares(const Output& output) : output_(output) {}

  /// At most 32 rows and columns of the output = left · a panel of the right operand, over `count` tiles.
  void multiply(const Tiles& left, const Pair* panel, int64_t count, const Tile& tile) {
    const Tiles right{panel, panel_width, tile_size * panel_width, tile_size};
    prefetch_tile(output_, tile.row, tile.column, tile.rows, tile.columns);
    const int64_t rows_at_once = (waiting_.rows + count - 1) / count;
    float* const sums = sums_[turn_ ^= 1];
    sum_square<true>(left, right, count, tile.rows, {sums, square, false},
                     [&](int64_t i) { write(sums_[turn_ ^ 1], i * rows_at_once, (i + 1) * rows_at_once); });
    waiting_ = tile;
  }
  /// Writes the last one.
  void finish() { write(sums_[turn_], 0, waiting_.rows); }

 private:
  void write(float* sums, int64_t first, int64_t last) {
    write_rows(sums, square, output_, waiting_, first, std::min(last, waiting_.rows));
  }

  const Output& output_;
  Tile waiting_{};
  int turn_ = 0;
  alignas(64) float sums_[2][square * square];
};

/// A square of rows stays in L1 while the panels of the right operand stream by.
void multiply_rows(const Source& source, int64_t rows, int64_t columns, int64_t depth, const Pair* right,
                   const Output& output) {
  const TileRegisters registers;
  Squares squares(output);
  const int64_t pairs = depth / 2, padded = whole_tiles(pairs);
  for (int64_t m = 0; m < rows; m += square) {
    const int64_t count = std::min(square, rows - m);
    const Pair* left = static_cast<const Pair*>(source.data) + m * pairs;
    if (count < square || pairs != padded) left = copy_to_squares(left, pairs, count, pairs, scratch);
    for (int64_t n = 0; n < columns; n += panel_width)
      squares.multiply({left, padded, tile_size, tile_size * padded}, right + n * padded, padded / tile_size,
                       {m, n, count, std::min(panel_width, columns - n)});
  }
  squares.finish();
}

void multiply_packed(const Pair* left, int64_t rows, const Pair* right, int64_t columns, int64_t depth,
                     const Output& output) {
  const TileRegisters registers;
  Squares squares(output);
  const int64_t pairs = whole_tiles((depth + 1) / 2);
  for (int64_t m = 0; m < rows; m += panel_width)
    for (int64_t n = 0; n < columns; n += panel_width)
      squares.multiply({left + m * pairs, tile_size, tile_size * tile_size, tile_size * pairs}, right + n * pairs,
                       pairs / tile_size, {m, n, std::min(panel_width, rows - m), std::min(panel_width, columns - n)});
  squares.finish();
}

/// A panel is two panels of the kernels in vectors, in which each square of 16 × 16 pairs is transposed.
void pack_left_tiles(const Source& matrix, int64_t columns, int64_t depth, int64_t pairs, int64_t first, int64_t last,
                     Pair* packed, float* sums) {
  pack_left(matrix, columns, depth, pairs, 2 * first, 2 * last, packed, sums);
  const int64_t panel = pairs * panel_width;
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
      .right_width = panel_width,
      .left_width = panel_width,
      .cell_elements = 2,
      .cell_unit = tile_size,
      .row_unit = square,
      .pack_transposed = pack_transposed<panel_width>,
      .pack_right = pack_right<panel_width>,
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
