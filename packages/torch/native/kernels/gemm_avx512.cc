// compile: -O3 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512bf16 -mfma -fno-math-errno
// Matrix products on packed panels. A register tile of six rows by four vectors is summed over the whole depth: 24
// independent sums hide the latency of vdpbf16ps, and ten loads feed 24 products. Panels of the right operand are read
// from L2, in the order in which they lie. One thread sums each element in one order, however the work is spread.
#ifdef __x86_64__
#include "pack_avx512.h"

#include <algorithm>

namespace rfdetr::gemm {

namespace {

using namespace vectors;

/// Part of the output: its first element, and its size of at most tile_rows × right_width.
struct Tile {
  int64_t row, column, rows, columns;

  int64_t vectors() const { return std::min<int64_t>((columns + 15) / 16, 4); }
  /// Lanes of vector `v` that are columns of the output.
  __mmask16 lanes(int64_t v) const { return first_lanes(columns - 16 * v); }
};

/// ReLU or GELU of rounded values: a separate operator after the product gives the same bits.
__m256i apply(Activation activation, __m256i value) {
  if (activation == Activation::gelu) return to_bf16(vectors::gelu(to_f32(value)));
  // max returns its second operand when that is NaN.
  return to_bf16(_mm512_max_ps(_mm512_setzero_ps(), to_f32(value)));
}

__m256i apply_derivative(Activation activation, __m256i gradient, __m256i value) {
  if (activation == Activation::gelu) return to_bf16(_mm512_mul_ps(to_f32(gradient), gelu_derivative(to_f32(value))));
  return _mm256_maskz_mov_epi16(_mm256_cmpgt_epi16_mask(value, _mm256_setzero_si256()), gradient);
}

/// Prefetches what write_tile will read and write, while the tile is being summed: its rows lie far apart, and each
/// would be a cache miss. Into L2, because rows that are a multiple of 4 KiB apart evict each other from L1.
template <int R, int V>
void prefetch_tile(const Output& output, const Tile& tile) {
  const auto prefetch = [](const void* from, int64_t bytes) {
    for (int64_t line = 0; line < bytes; line += 64) _mm_prefetch(static_cast<const char*>(from) + line, _MM_HINT_T1);
  };
  const Epilogue& epilogue = output.epilogue;
  for (int r = 0; r < R; ++r) {
    const int64_t place = (tile.row + r) * output.stride + tile.column, size = output.is_bf16 ? 2 : 4;
    prefetch(static_cast<const char*>(output.data) + place * size, 16 * V * size);
    if (epilogue.derivative_at) prefetch(static_cast<const uint16_t*>(epilogue.derivative_at) + place, 32 * V);
    if (epilogue.pre_activation) prefetch(static_cast<const uint16_t*>(epilogue.pre_activation) + place, 32 * V);
  }
}

/// Runs the epilogue on `sums` [rows × 16·vectors], which are in memory, because it needs the registers. Reads
/// everything before it writes anything, because of 4 KiB aliasing: a load stalls if its address agrees with that of a
/// pending store in the low 12 bits, and rows are often a multiple of 4 KiB apart.
void write_tile(float* sums, const Output& output, const Tile& tile) {
  const Epilogue& epilogue = output.epilogue;
  const int64_t vectors = tile.vectors();
  alignas(64) uint16_t derivative_at[tile_rows * right_width];
  for (int64_t v = 0; v < vectors; ++v) {
    const __mmask16 mask = tile.lanes(v);
    const int64_t column = tile.column + 16 * v;
    const __m512 bias = epilogue.bias ? load(epilogue.bias + column, mask) : _mm512_setzero_ps();
    for (int64_t r = 0; r < tile.rows; ++r) {
      const int64_t place = (tile.row + r) * output.stride + column, i = (r * vectors + v) * 16;
      float* sum = sums + i;
      if (epilogue.bias) _mm512_store_ps(sum, _mm512_add_ps(_mm512_load_ps(sum), bias));
      if (epilogue.accumulate) {
        const __m512 before = load(static_cast<const float*>(output.data) + place, mask);
        _mm512_store_ps(sum, _mm512_add_ps(_mm512_load_ps(sum), before));
      }
      if (epilogue.derivative_at)
        _mm256_store_si256(reinterpret_cast<__m256i*>(derivative_at + i),
                           load(static_cast<const uint16_t*>(epilogue.derivative_at) + place, mask));
    }
  }
  for (int64_t v = 0; v < vectors; ++v) {
    const __mmask16 mask = tile.lanes(v);
    for (int64_t r = 0; r < tile.rows; ++r) {
      const int64_t place = (tile.row + r) * output.stride + tile.column + 16 * v, i = (r * vectors + v) * 16;
      const __m512 sum = _mm512_load_ps(sums + i);
      if (!output.is_bf16) {
        store(static_cast<float*>(output.data) + place, mask, sum);
        continue;
      }
      __m256i value = to_bf16(sum);
      if (epilogue.pre_activation) store(static_cast<uint16_t*>(epilogue.pre_activation) + place, mask, value);
      if (epilogue.activation != Activation::none) value = apply(epilogue.activation, value);
      if (epilogue.derivative_of != Activation::none) {
        const auto* from = reinterpret_cast<const __m256i*>(derivative_at + i);
        value = apply_derivative(epilogue.derivative_of, value, _mm256_load_si256(from));
      }
      store(static_cast<uint16_t*>(output.data) + place, mask, value);
    }
  }
}

/// Writes the sums of a whole tile from the registers, where no activation needs them.
template <int R, int V>
ALWAYS_INLINE void write_whole_tile(__m512 (&sums)[R][V], const Output& output, const Tile& tile) {
  constexpr __mmask16 all = 0xFFFF;
  const float* const bias = output.epilogue.bias;
  const int64_t first = tile.row * output.stride + tile.column;
  float* const f32 = static_cast<float*>(output.data) + first;
  uint16_t* const bf16 = static_cast<uint16_t*>(output.data) + first;
  const auto each = [&](auto&& body) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v)
#pragma GCC unroll 6
      for (int r = 0; r < R; ++r) body(sums[r][v], r * output.stride + 16 * v, 16 * v);
  };
  const auto add = [&](__m512& sum, const float* from) { sum = _mm512_add_ps(sum, load(from, all)); };
  if (bias) each([&](__m512& sum, int64_t, int column) { add(sum, bias + tile.column + column); });
  if (output.epilogue.accumulate) each([&](__m512& sum, int64_t place, int) { add(sum, f32 + place); });
  if (output.is_bf16)
    each([&](__m512 sum, int64_t place, int) { store(bf16 + place, all, to_bf16(sum)); });
  else
    each([&](__m512 sum, int64_t place, int) { store(f32 + place, all, sum); });
}

template <int R, int V>
void multiply_tile(const Left& left, const Pair* right, int64_t pairs, const Output& output, const Tile& tile) {
  prefetch_tile<R, V>(output, tile);
  __m512 sums[R][V];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) sums[r][v] = _mm512_setzero_ps();
  multiply_add<R, V, true>(left, {right, right_width}, pairs, sums);
  if (tile.columns == 16 * V && !output.epilogue.activates()) return write_whole_tile(sums, output, tile);
  alignas(64) float stored[R * V * 16];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) _mm512_store_ps(stored + (r * V + v) * 16, sums[r][v]);
  write_tile(stored, output, tile);
}

/// One tile of the output = left · one panel of the right operand.
void multiply_tile(const Left& left, const Pair* right, int64_t pairs, const Output& output, const Tile& tile) {
  with_constant<4>(tile.vectors(), [&]<int V>() {
    with_constant<tile_rows>(tile.rows, [&]<int R>() { multiply_tile<R, V>(left, right, pairs, output, tile); });
  });
}

void multiply_rows(const Source& source, int64_t rows, int64_t columns, int64_t depth, const Pair* right,
                   const Output& output) {
  // These rows stay in L2 while all panels pass.
  constexpr int64_t block = 8 * tile_rows;
  const int64_t pairs = depth / 2;
  const auto* const left = static_cast<const uint16_t*>(source.data);
  for (int64_t begin = 0; begin < rows; begin += block)
    for (int64_t n = 0; n < columns; n += right_width)
      for (int64_t m = begin; m < std::min(begin + block, rows); m += tile_rows) {
        const Tile tile{m, n, std::min(tile_rows, rows - m), std::min(right_width, columns - n)};
        const auto* first = reinterpret_cast<const Pair*>(left + m * depth);
        multiply_tile({first, pairs, 1}, right + n * pairs, pairs, output, tile);
      }
}

void multiply_packed(const Pair* left, int64_t rows, const Pair* right, int64_t columns, int64_t depth,
                     const Output& output) {
  const int64_t pairs = (depth + 1) / 2;
  for (int64_t n = 0; n < columns; n += right_width)
    for (int64_t panel = 0; panel * left_width < rows; ++panel)
      for (int64_t m = 0; m < left_width; m += tile_rows) {
        const int64_t row = panel * left_width + m, count = std::min({tile_rows, left_width - m, rows - row});
        if (count <= 0) break;
        const Tile tile{row, n, count, std::min(right_width, columns - n)};
        multiply_tile({left + panel * pairs * left_width + m, 1, left_width}, right + n * pairs, pairs, output, tile);
      }
}

void gelu(bool, const void* input_values, int64_t count, void* result_values) {
  const auto* const input = static_cast<const uint16_t*>(input_values);
  auto* const result = static_cast<uint16_t*>(result_values);
  for (int64_t i = 0; i < count; i += 16) {
    const __mmask16 mask = first_lanes(count - i);
    store(result + i, mask, apply(Activation::gelu, load(input + i, mask)));
  }
}

void gelu_backward(bool, const void* gradient_values, const void* input_values, int64_t count, void* result_values) {
  const auto *const gradient = static_cast<const uint16_t*>(gradient_values), *const input =
                                                                                  static_cast<const uint16_t*>(
                                                                                      input_values);
  auto* const result = static_cast<uint16_t*>(result_values);
  for (int64_t i = 0; i < count; i += 16) {
    const __mmask16 mask = first_lanes(count - i);
    store(result + i, mask, apply_derivative(Activation::gelu, load(gradient + i, mask), load(input + i, mask)));
  }
}

}  // namespace

const Kernels* avx512_pair_kernels() {
  static constexpr Kernels kernels{"avx512_bf16", right_width,   left_width,      2,    pack_transposed, pack_right,
                                   pack_left,     multiply_rows, multiply_packed, gelu, gelu_backward};
  return &kernels;
}

}  // namespace rfdetr::gemm
#else
#include "gemm.h"

const rfdetr::gemm::Kernels* rfdetr::gemm::avx512_pair_kernels() { return nullptr; }
#endif
