// The inner loop of all products of bfloat16: a tile of R rows by V vectors of sixteen columns, summed in registers.
#pragma once
#include "every_cpu.h"
#include "gemm.h"
#include "vectors_avx512.h"

namespace rfdetr::gemm {

/// Two neighbouring bfloat16 values along the summed axis, the operand of vdpbf16ps.
using Pair = Cell;

/// Columns of a packed panel of the right operand, and of the left one.
constexpr int64_t right_width = 64, left_width = 16;
/// Rows of one register tile.
constexpr int64_t tile_rows = 6;

/// The left operand: pair k of row r lies at data[r · row + k · step].
struct Left {
  const Pair* data;
  int64_t row, step;

  Left from_row(int64_t r) const { return {data + r * row, row, step}; }
};

/// The right operand: the pairs k of all columns lie at data[k · stride].
struct Right {
  const Pair* data;
  int64_t stride;
};

/// sums[r][v] += Σ_k left(r, k) · right(k, 16·v … 16·v + 15). With `prefetch_rows`, fetches the next R contiguous rows.
template <int R, int V, bool prefetch_rows>
ALWAYS_INLINE void multiply_add(const Left& left, const Right& right, int64_t pairs, __m512 (&sums)[R][V]) {
  constexpr int64_t pairs_per_line = 16;
  for (int64_t k = 0; k < pairs; ++k) {
    if (prefetch_rows && left.step == 1 && k % pairs_per_line == 0)
      for (int r = 0; r < R; ++r)
        _mm_prefetch(reinterpret_cast<const char*>(left.data + (r + R) * left.row + k), _MM_HINT_T0);
    __m512i columns[V];
    for (int v = 0; v < V; ++v) columns[v] = _mm512_loadu_si512(right.data + k * right.stride + 16 * v);
    for (int r = 0; r < R; ++r) {
      const __m512i value = _mm512_set1_epi32(left.data[r * left.row + k * left.step]);
      for (int v = 0; v < V; ++v)
        sums[r][v] = _mm512_dpbf16_ps(sums[r][v], vectors::as_bf16(value), vectors::as_bf16(columns[v]));
    }
  }
}

/// Calls `body<n>()` for a count n of 1 … most, which the body knows at compile time; larger counts count as `most`.
template <int most, class Body>
ALWAYS_INLINE void with_constant(int64_t count, Body&& body) {
  if constexpr (most > 1)
    if (count < most) return with_constant<most - 1>(count, body);
  body.template operator()<most>();
}

}  // namespace rfdetr::gemm
