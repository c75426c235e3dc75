// The epilogue of products of pairs of bfloat16: what happens to sums that are in memory as they are written.
#pragma once
#include "gemm.h"
#include "vectors_avx512.h"

namespace rfdetr::gemm {

using namespace vectors;

/// Elements of the largest tile.
constexpr int64_t most_of_tile = 1024;

/// Part of the output: its first element, and its size of at most most_of_tile.
struct Tile {
  int64_t row, column, rows, columns;

  int64_t vectors() const { return (columns + 15) / 16; }
  /// Lanes of vector `v` that are columns of the output.
  __mmask16 lanes(int64_t v) const { return first_lanes(columns - 16 * v); }
};

/// ReLU or GELU of rounded values: a separate operator after the product gives the same bits.
inline __m256i apply(Activation activation, __m256i value) {
  if (activation == Activation::gelu) return to_bf16(vectors::gelu(to_f32(value)));
  // max returns its second operand when that is NaN.
  return to_bf16(_mm512_max_ps(_mm512_setzero_ps(), to_f32(value)));
}

inline __m256i apply_derivative(Activation activation, __m256i gradient, __m256i value) {
  if (activation == Activation::gelu) return to_bf16(_mm512_mul_ps(to_f32(gradient), gelu_derivative(to_f32(value))));
  return _mm256_maskz_mov_epi16(_mm256_cmpgt_epi16_mask(value, _mm256_setzero_si256()), gradient);
}

/// Prefetches what write_rows will read and write, while the tile is being summed: its rows lie far apart, and each
/// would be a cache miss. Into L2, because rows that are a multiple of 4 KiB apart evict each other from L1.
inline void prefetch_tile(const Output& output, int64_t row, int64_t column, int64_t rows, int64_t columns) {
  const auto prefetch = [](const void* from, int64_t bytes) {
    for (int64_t line = 0; line < bytes; line += 64) _mm_prefetch(static_cast<const char*>(from) + line, _MM_HINT_T1);
  };
  const Epilogue& epilogue = output.epilogue;
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t place = (row + r) * output.stride + column, size = output.is_bf16 ? 2 : 4;
    prefetch(static_cast<const char*>(output.data) + place * size, columns * size);
    if (epilogue.derivative_at) prefetch(static_cast<const uint16_t*>(epilogue.derivative_at) + place, 2 * columns);
    if (epilogue.pre_activation) prefetch(static_cast<const uint16_t*>(epilogue.pre_activation) + place, 2 * columns);
  }
}

/// Runs the epilogue on rows first…last of the tile. Their sums are in memory, with rows `stride` apart, because it
/// needs the registers. Of the output and of the operand of a derivative it reads everything before it writes anything,
/// because of 4 KiB aliasing: a load stalls if its address agrees with that of a pending store in the low 12 bits, and
/// rows are often a multiple of 4 KiB apart.
inline void write_rows(float* sums, int64_t stride, const Output& output, const Tile& tile, int64_t first,
                       int64_t last) {
  const Epilogue& epilogue = output.epilogue;
  alignas(64) uint16_t derivative_at[most_of_tile];
  const auto each = [&](auto&& body) {
    for (int64_t r = first; r < last; ++r)
      for (int64_t v = 0; v < tile.vectors(); ++v)
        body(r * stride + 16 * v, (tile.row + r) * output.stride + tile.column + 16 * v, v, tile.lanes(v));
  };
  if (epilogue.accumulate)
    each([&](int64_t i, int64_t place, int64_t, __mmask16 mask) {
      const __m512 before = load(static_cast<const float*>(output.data) + place, mask);
      _mm512_store_ps(sums + i, _mm512_add_ps(_mm512_load_ps(sums + i), before));
    });
  if (epilogue.derivative_at)
    each([&](int64_t i, int64_t place, int64_t, __mmask16 mask) {
      _mm256_store_si256(reinterpret_cast<__m256i*>(derivative_at + i),
                         load(static_cast<const uint16_t*>(epilogue.derivative_at) + place, mask));
    });
  each([&](int64_t i, int64_t place, int64_t v, __mmask16 mask) {
    __m512 sum = _mm512_load_ps(sums + i);
    if (epilogue.bias) sum = _mm512_add_ps(sum, load(epilogue.bias + tile.column + 16 * v, mask));
    if (!output.is_bf16) return store(static_cast<float*>(output.data) + place, mask, sum);
    __m256i value = to_bf16(sum);
    if (epilogue.pre_activation) store(static_cast<uint16_t*>(epilogue.pre_activation) + place, mask, value);
    if (epilogue.activation != Activation::none) value = apply(epilogue.activation, value);
    if (epilogue.derivative_of != Activation::none) {
      const auto* from = reinterpret_cast<const __m256i*>(derivative_at + i);
      value = apply_derivative(epilogue.derivative_of, value, _mm256_load_si256(from));
    }
    store(static_cast<uint16_t*>(output.data) + place, mask, value);
  });
}

}  // namespace rfdetr::gemm
