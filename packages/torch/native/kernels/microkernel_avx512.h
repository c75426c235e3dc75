// The inner loop of all products of bfloat16 in vectors: a tile of R rows by V vectors of sixteen columns, summed in
// registers.
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

using Left = LeftOperand<Pair>;
using Right = RightOperand<Pair>;

/// Row-major float32 sums, set by a product, or increased by it where `add`.
struct Sums {
  float* data;
  int64_t stride;
  bool add;
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

}  // namespace rfdetr::gemm
