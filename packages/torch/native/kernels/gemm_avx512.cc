// compile: -O3 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512bf16 -mfma
// Matrix products on packed panels. A register tile of six rows by four vectors is summed over the whole depth: 24
// independent sums hide the latency of vdpbf16ps, and ten loads feed 24 products. Panels of the right operand are read
// from L2, in the order in which they lie. One thread sums each element in one order, however the work is spread.
#ifdef __x86_64__
#include "epilogue_avx512.h"
#include "pack_avx512.h"

#include <algorithm>

namespace rfdetr::gemm {

namespace {

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
  prefetch_tile(output, tile.row, tile.column, R, 16 * V);
  __m512 sums[R][V];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) sums[r][v] = _mm512_setzero_ps();
  multiply_add<R, V, true>(left, {right, right_width}, pairs, sums);
  if (tile.columns == 16 * V && !output.epilogue.activates()) return write_whole_tile(sums, output, tile);
  alignas(64) float stored[R * V * 16];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) _mm512_store_ps(stored + (r * V + v) * 16, sums[r][v]);
  write_rows(stored, 16 * V, output, tile, 0, R);
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

}  // namespace

void gelu(bool, const void* input_values, int64_t count, void* result_values) {
  const auto* const input = static_cast<const uint16_t*>(input_values);
  auto* const result = static_cast<uint16_t*>(result_values);
  for (int64_t i = 0; i < count; i += 16) {
    const __mmask16 mask = first_lanes(count - i);
    store(result + i, mask, apply(Activation::gelu, load(input + i, mask)));
  }
}

void gelu_backward(bool, const void* gradient_values, const void* input_values, int64_t count, void* result_values) {
  const auto* const gradient = static_cast<const uint16_t*>(gradient_values);
  const auto* const input = static_cast<const uint16_t*>(input_values);
  auto* const result = static_cast<uint16_t*>(result_values);
  for (int64_t i = 0; i < count; i += 16) {
    const __mmask16 mask = first_lanes(count - i);
    store(result + i, mask, apply_derivative(Activation::gelu, load(gradient + i, mask), load(input + i, mask)));
  }
}

const Kernels* avx512_pair_kernels() {
  static constexpr Kernels kernels{
      .name = "avx512_bf16",
      .right_width = right_width,
      .left_width = left_width,
      .cell_elements = 2,
      .cell_unit = 1,
      .row_unit = tile_rows,
      .pack_transposed = pack_transposed<right_width>,
      .pack_right = pack_right<right_width>,
      .pack_left = pack_left,
      .multiply_rows = multiply_rows,
      .multiply_packed = multiply_packed,
      .gelu = gelu,
      .gelu_backward = gelu_backward,
  };
  return &kernels;
}

}  // namespace rfdetr::gemm
#else
#include "gemm.h"

const rfdetr::gemm::Kernels* rfdetr::gemm::avx512_pair_kernels() { return nullptr; }
#endif
