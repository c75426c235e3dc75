// The inner loop of all products in matrix units (AMX-BF16): squares of sums in tile registers. Only for files that are
// compiled for CPUs with them.
#pragma once
#include "microkernel_avx512.h"
#include "scratch.h"

#include <algorithm>

namespace rfdetr::gemm {

/// Pairs along a tile of an operand, and rows of any tile: a tile register holds sixteen rows of 64 bytes.
constexpr int64_t tile_size = 16;
/// Rows and columns that sum_square() sums at once.
constexpr int64_t square = 2 * tile_size;

/// So many pairs, in whole tiles.
constexpr int64_t whole_tiles(int64_t pairs) { return (pairs + tile_size - 1) / tile_size * tile_size; }

/// The tile registers of this thread are set up while one of these lives. libtorch sets them up for itself, so no call
/// of it may lie between.
struct TileRegisters {
  TileRegisters() {
    struct alignas(64) Shapes {
      uint8_t palette = 1, start_row = 0, reserved[14] = {};
      uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    };
    static constexpr Shapes shapes;
    _tile_loadconfig(&shapes);
  }
  TileRegisters(const TileRegisters&) = delete;
  ~TileRegisters() { _tile_release(); }
};

/// Where the tiles of an operand lie. Distances in pairs: `row` from one row of a tile to the next, `next` from one
/// tile to the next along the summed axis, `beside` to that of the next sixteen rows of the left operand, or columns of
/// the right one.
struct Tiles {
  const Pair* data;
  int64_t row, next, beside;
};

/// Copies rows of `pairs`, which are `stride` apart, to whole squares of rows, and fills up with zeros.
inline const Pair* copy_to_squares(const Pair* rows, int64_t stride, int64_t count, int64_t pairs, Scratch& scratch) {
  const int64_t padded = whole_tiles(pairs), cells = (count + square - 1) / square * square * padded;
  Pair* const copy = scratch.elements<Pair>(cells);
  std::fill(copy, copy + cells, 0);
  for (int64_t r = 0; r < count; ++r) std::copy(rows + r * stride, rows + r * stride + pairs, copy + r * padded);
  return copy;
}

/// sums [32 × 32] = or += left · right, over `count` tiles: rows of the left operand are rows of pairs, rows of the
/// right one hold a pair of each column. With at most sixteen `rows`, only the upper half. Denormal values count as
/// zero. A tile sums the first and the second values of its pairs apart, and adds both to the sum (Intel, Architecture
/// Instruction Set Extensions, TDPBF16PS). `meanwhile(i)` runs beside the products of tile i, which need no vectors.
///
/// With `streams`, the tiles that follow are fetched to L1: an operand that is read once comes from L2, and there the
/// processor foresees little, since a tile is sixteen pieces of a cache line.
template <bool streams, class Meanwhile>
ALWAYS_INLINE void sum_square(const Tiles& left, const Tiles& right, int64_t count, int64_t rows, const Sums& sums,
                              Meanwhile&& meanwhile) {
  float *const top = sums.data, *const bottom = top + tile_size * sums.stride;
  const int64_t bytes = 4 * sums.stride, left_bytes = 4 * left.row, right_bytes = 4 * right.row;
  const bool whole = rows > tile_size;
  // Lines 4 KiB apart share one set of L1: it does not hold those of the next tile beside those of this one.
  const bool fetches_left = streams && left_bytes % 4096 != 0;
  const auto fetch = [](const Pair* first, int64_t row) {
    for (int64_t r = 0; r < tile_size; ++r) _mm_prefetch(reinterpret_cast<const char*>(first + r * row), _MM_HINT_T0);
  };
  __asm__ volatile("" ::: "memory");  // GCC does not know that loads of tiles read memory
  if (sums.add) {
    _tile_loadd(0, top, bytes);
    _tile_loadd(1, top + tile_size, bytes);
    _tile_loadd(2, bottom, bytes);
    _tile_loadd(3, bottom + tile_size, bytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  const Pair *from = left.data, *columns = right.data;
  for (int64_t i = 0; i < count; ++i, from += left.next, columns += right.next) {
    _tile_loadd(4, from, left_bytes);
    _tile_loadd(6, columns, right_bytes);
    _tile_dpbf16ps(0, 4, 6);
    if (fetches_left) fetch(from + left.next, left.row);
    _tile_loadd(7, columns + right.beside, right_bytes);
    _tile_dpbf16ps(1, 4, 7);
    if (streams) {
      fetch(columns + 2 * right.next, right.row);
      fetch(columns + 2 * right.next + right.beside, right.row);
    }
    if (whole) {
      _tile_loadd(5, from + left.beside, left_bytes);
      _tile_dpbf16ps(2, 5, 6);
      if (fetches_left) fetch(from + left.next + left.beside, left.row);
      _tile_dpbf16ps(3, 5, 7);
    }
    meanwhile(i);
  }
  _tile_stored(0, top, bytes);
  _tile_stored(1, top + tile_size, bytes);
  if (!whole) return;
  _tile_stored(2, bottom, bytes);
  _tile_stored(3, bottom + tile_size, bytes);
}

}  // namespace rfdetr::gemm
