// The inner loop of all products of float32: a tile of R rows by V vectors, summed in registers. Files that include
// this one are compiled with --param=avoid-fma-max-bits=0: GCC would multiply and add apart in tiles of one sum only,
// for most CPUs from GCC 13 on, and a row would have other bits in them.
#pragma once
#include "gemm.h"
#include "vectors.h"

namespace rfdetr::INSTRUCTION_SET {

/// Rows of a tile, and the vectors of its columns: as many sums as hide the latency of a multiplication and as the
/// registers hold, beside one vector for each column and one for the row (16 registers, 32 with AVX-512 and NEON).
constexpr int64_t tile_rows = 6;
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int64_t tile_vectors = 4;
#else
constexpr int64_t tile_vectors = 2;
#endif

using Left = gemm::LeftOperand<float>;
using Right = gemm::RightOperand<float>;

/// sums[r][v] += Σ_k left(r, k) · right(k, lanes·v … lanes·v + lanes − 1), in the order of k.
template <int R, int V>
ALWAYS_INLINE void multiply_add(const Left& left, const Right& right, int64_t depth, Vector (&sums)[R][V]) {
  for (int64_t k = 0; k < depth; ++k) {
    Vector columns[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) columns[v] = load(right.data + k * right.stride + lanes * v);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const Vector value = broadcast(left.data[r * left.row + k * left.step]);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sums[r][v] += value * columns[v];
    }
  }
}

/// Calls body<R>(m) for tiles of R rows from row m on: of `most` rows as long as there are so many, then of two and of
/// one. A tile of any other height would have code of its own, and few rows at the end take little time.
template <int most, class Body>
ALWAYS_INLINE void over_tiles(int64_t rows, Body&& body) {
  int64_t m = 0;
  for (; m + most <= rows; m += most) body.template operator()<most>(m);
  for (; m + 2 <= rows; m += 2) body.template operator()<2>(m);
  if (m < rows) body.template operator()<1>(m);
}

}  // namespace rfdetr::INSTRUCTION_SET
