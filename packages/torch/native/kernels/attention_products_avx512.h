// The products of attention, on matrices of one (batch, head), and the packing of their operands.
#pragma once
#include "microkernel_avx512.h"

#include <algorithm>

namespace rfdetr::attention {

using gemm::Left;
using gemm::Pair;
using gemm::Right;
using gemm::Sums;

inline const Pair* pairs(const uint16_t* data) { return reinterpret_cast<const Pair*>(data); }

/// sums = or += left · right, for a tile of R rows and 16·V columns.
template <int R, int V>
void multiply_tile(const Left& left, const Right& right, int64_t depth, const Sums& sums) {
  __m512 tile[R][V];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v)
      tile[r][v] = sums.add ? _mm512_loadu_ps(sums.data + r * sums.stride + 16 * v) : _mm512_setzero_ps();
  gemm::multiply_add<R, V, false>(left, right, depth, tile);
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) _mm512_storeu_ps(sums.data + r * sums.stride + 16 * v, tile[r][v]);
}

/// The same for any number of rows, at most R of them at a time.
template <int R, int V>
void multiply_panel(int64_t rows, const Left& left, const Right& right, int64_t depth, const Sums& sums) {
  for (int64_t m = 0; m < rows; m += R)
    with_constant<R>(rows - m, [&]<int count>() {
      multiply_tile<count, V>(left.from_row(m), right, depth, {sums.data + m * sums.stride, sums.stride, sums.add});
    });
}

struct Size {
  int64_t rows, columns, depth;  // depth in pairs
};

/// Products in vectors (vdpbf16ps).
struct InVectors {
  static constexpr bool has_tiles = false;
  /// Queries of one pass of forward over the keys: few enough that their scores stay in L1.
  static constexpr int64_t forward_block = 24;
  /// What products need while they run on this thread.
  struct Registers {};
  /// The depth of a product, in pairs, for so many: the right operand has zeros past them.
  static constexpr int64_t depth(int64_t pairs) { return pairs; }

  /// sums [rows × columns] = or += left · right, for a multiple of 32 columns. 24 sums hide the latency.
  static void multiply(const Size& size, const Left& left, const Right& right, const Sums& sums) {
    for (int64_t n = 0; n < size.columns; n += 64) {
      const Right panel{right.data + n, right.stride};
      const Sums part{sums.data + n, sums.stride, sums.add};
      if (size.columns - n == 32)
        multiply_panel<12, 2>(size.rows, left, panel, size.depth, part);
      else
        multiply_panel<6, 4>(size.rows, left, panel, size.depth, part);
    }
  }
};

/// Packs rows [count × width] to [width/2][columns]: pairs along the width, a column for each row, then zeros.
inline void pack_columns(const uint16_t* rows, int64_t stride, int64_t count, int64_t width, Pair* packed,
                         int64_t columns) {
  for (int64_t t = 0; t < columns; t += 16)
    for (int64_t k = 0; k < width / 2; k += 16) {
      __m512i block[16];
      for (int64_t r = 0; r < 16; ++r)
        block[r] = t + r < count ? _mm512_loadu_si512(rows + (t + r) * stride + 2 * k) : _mm512_setzero_si512();
      vectors::transpose(block);
      for (int64_t r = 0; r < 16; ++r) _mm512_store_si512(packed + (k + r) * columns + t, block[r]);
    }
}

/// Packs rows [count × width] to [depth][width]: rows 2i and 2i + 1 become pairs, then zeros.
inline void pack_rows(const uint16_t* rows, int64_t stride, int64_t count, int64_t width, int64_t depth, Pair* packed) {
  std::fill(packed + (count + 1) / 2 * width, packed + depth * width, 0);
  for (int64_t t = 0; t < count; t += 2)
    for (int64_t d = 0; d < width; d += 32) {
      const __m512i even = _mm512_loadu_si512(rows + t * stride + d);
      const __m512i odd = t + 1 < count ? _mm512_loadu_si512(rows + (t + 1) * stride + d) : _mm512_setzero_si512();
      Pair* out = packed + t / 2 * width + d;
      _mm512_storeu_si512(out, _mm512_permutex2var_epi16(even, vectors::interleave_index(false), odd));
      _mm512_storeu_si512(out + 16, _mm512_permutex2var_epi16(even, vectors::interleave_index(true), odd));
    }
}

/// Rounds contiguous float32 rows to bfloat16 rows of a result.
inline void write_rows(const float* from, uint16_t* to, int64_t stride, int64_t rows, int64_t width) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t d = 0; d < width; d += 16)
      vectors::store_bf16(to + r * stride + d, _mm512_loadu_ps(from + r * width + d));
}

}  // namespace rfdetr::attention
