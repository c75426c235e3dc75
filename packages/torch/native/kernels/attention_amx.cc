// compile: -O3 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512bf16 -mamx-tile -mamx-bf16 -mfma
// The attention kernel for CPUs with matrix units.
#include "attention.h"

#ifdef __AMX_BF16__
#include "attention_pairs.h"
#include "tiles_amx.h"

namespace rfdetr::attention {

namespace {

using gemm::square, gemm::tile_size;

thread_local Scratch copies;

/// Products in matrix units.
struct InTiles {
  static constexpr bool has_tiles = true;
  static constexpr int64_t forward_block = square;
  using Registers = gemm::TileRegisters;
  static constexpr int64_t depth(int64_t pairs) { return gemm::whole_tiles(pairs); }

  /// The same as in vectors, for sums whose memory has whole squares: beside the rows it writes what nobody reads.
  static void multiply(const Size& size, const Left& left, const Right& right, const Sums& sums) {
    const int64_t padded = depth(size.depth);
    for (int64_t m = 0; m < size.rows; m += square) {
      const int64_t rows = std::min(square, size.rows - m);
      const bool in_place = left.step == 1 && rows == square && size.depth == padded;
      const Left part = in_place ? left.from_row(m) : Left{copy_of(left.from_row(m), rows, size.depth), padded, 1};
      for (int64_t n = 0; n < size.columns; n += square)
        gemm::sum_square<false>({part.data, part.row, tile_size, tile_size * part.row},
                                {right.data + n, right.stride, tile_size * right.stride, tile_size}, padded / tile_size,
                                rows, {sums.data + m * sums.stride + n, sums.stride, sums.add}, [](int64_t) {});
    }
  }

 private:
  /// At most 32 rows as a square of whole tiles, with zeros past the depth.
  static const Pair* copy_of(const Left& left, int64_t rows, int64_t pairs) {
    if (left.step == 1) return gemm::copy_to_squares(left.data, left.row, rows, pairs, copies);
    // Columns of a block of queries, which has whole squares.
    const int64_t padded = depth(pairs);
    Pair* const copy = copies.elements<Pair>(square * padded);
    for (int64_t r = 0; r < square; r += tile_size)
      for (int64_t k = 0; k < padded; k += tile_size) {
        __m512i tile[tile_size];
        for (int64_t i = 0; i < tile_size; ++i)
          tile[i] = k + i < pairs ? _mm512_loadu_si512(left.data + (k + i) * left.step + r) : _mm512_setzero_si512();
        transpose(tile);
        for (int64_t i = 0; i < tile_size; ++i) _mm512_store_si512(copy + (r + i) * padded + k, tile[i]);
      }
    return copy;
  }
};

}  // namespace

const Kernel<Bf16>* bf16_tile_kernel() { return &pair_kernel<InTiles>; }

}  // namespace rfdetr::attention
#else
const rfdetr::attention::Kernel<rfdetr::attention::Bf16>* rfdetr::attention::bf16_tile_kernel() { return nullptr; }
#endif
