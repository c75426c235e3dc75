// The products of attention, on matrices of one (batch, head), and the packing of their operands.
#pragma once
#include "microkernel_avx512.h"

#include <algorithm>

namespace rfdetr::attention {

using gemm::Left;
using gemm::Pair;
using gemm::Right;

inline const Pair* pairs(const uint16_t* data) { return reinterpret_cast<const Pair*>(data); }

/// Row-major float32 sums, set by a product, or increased by it where `add`.
struct Sums {
  float* data;
  int64_t stride;
  bool add;
};

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
    gemm::with_constant<R>(rows - m, [&]<int count>() {
      multiply_tile<count, V>(left.from_row(m), right, depth, {sums.data + m * sums.stride, sums.stride, sums.add});
    });
}

struct Size {
  int64_t rows, columns, depth;  // depth in pairs
};

/// sums [rows × columns] = or += left · right, for a multiple of 16 columns. 24 sums hide the latency.
inline void multiply(const Size& size, const Left& left, const Right& right, const Sums& sums) {
  for (int64_t n = 0; n < size.columns; n += 64) {
    const Right panel{right.data + n, right.stride};
    const Sums part{sums.data + n, sums.stride, sums.add};
    switch (std::min<int64_t>((size.columns - n) / 16, 4)) {
      case 1: multiply_panel<12, 1>(size.rows, left, panel, size.depth, part); break;
      case 2: multiply_panel<12, 2>(size.rows, left, panel, size.depth, part); break;
      case 3: multiply_panel<8, 3>(size.rows, left, panel, size.depth, part); break;
      default: multiply_panel<6, 4>(size.rows, left, panel, size.depth, part); break;
    }
  }
}

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

/// Packs rows [count × width] to [(count+1)/2][width]: rows 2i and 2i + 1 become pairs.
inline void pack_rows(const uint16_t* rows, int64_t stride, int64_t count, int64_t width, Pair* packed) {
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
