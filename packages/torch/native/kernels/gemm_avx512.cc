// compile: -O3 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512bf16 -mfma -fno-math-errno
// Six rows by four vectors of columns are summed in registers over the whole depth: 24 sums hide the latency of
// vdpbf16ps, and ten loads feed 24 products. Panels of the right operand are read from the second cache, in the order
// in which they lie. Every element is summed by one thread in one order, however the work is spread.
#include "gemm.h"
#include "vectors_avx512.h"

#include <algorithm>

namespace rfdetr::gemm {

namespace {

using namespace vectors;

/// ReLU and GELU of bfloat16 values: of rounded ones, so that an operator of its own would give the same bits.
__m256i activated(Activation activation, __m256i value) {
  if (activation == Activation::gelu) return halved(vectors::gelu(widened(value)));
  // Negative numbers become zero, NaN stays.
  return halved(_mm512_max_ps(_mm512_setzero_ps(), widened(value)));
}

__m256i sloped(Activation activation, __m256i gradient, __m256i at) {
  if (activation == Activation::gelu) return halved(_mm512_mul_ps(widened(gradient), gelu_slope(widened(at))));
  return _mm256_maskz_mov_epi16(_mm256_cmpgt_epi16_mask(at, _mm256_setzero_si256()), gradient);
}

/// Asks for what the end of a tile will read and write, while its sums are on the way: rows lie far apart, and each
/// would be waited for. Into the second cache: in the first one, rows that are a multiple of 4 KiB apart push each
/// other out.
template <int R, int V>
void expect(const Target& to, int64_t m, int64_t n) {
  const auto lines = [](const void* from, int64_t bytes) {
    for (int64_t line = 0; line < bytes; line += 64) _mm_prefetch(static_cast<const char*>(from) + line, _MM_HINT_T1);
  };
  for (int r = 0; r < R; ++r) {
    const int64_t at = (m + r) * to.stride + n, size = to.half ? 2 : 4;
    lines(static_cast<const char*>(to.data) + at * size, 16 * V * size);
    if (to.at) lines(to.at + at, 32 * V);
    if (to.before) lines(to.before + at, 32 * V);
  }
}

/// The end of a tile: bias, activation or slope, type. From memory, as it needs the registers that the sums were in.
/// Everything is read before anything is written: rows are often a multiple of 4 KiB apart, and a processor takes a
/// read for one of a write before it that agrees in the last twelve bits of its address.
void finish(float* raw, int rows, int vectors, const Target& to, int64_t m, int64_t n, __mmask16 tail) {
  alignas(64) uint16_t places[tile_rows * right_width];
  for (int v = 0; v < vectors; ++v) {
    const __mmask16 mask = v == vectors - 1 ? tail : 0xFFFF;
    const __m512 bias = to.bias ? load(to.bias + n + 16 * v, mask) : _mm512_setzero_ps();
    for (int r = 0; r < rows; ++r) {
      const int64_t at = (m + r) * to.stride + n + 16 * v;
      float* value = raw + (r * vectors + v) * 16;
      if (to.bias) _mm512_store_ps(value, _mm512_add_ps(_mm512_load_ps(value), bias));
      if (to.add)
        _mm512_store_ps(value,
                        _mm512_add_ps(_mm512_load_ps(value), load(static_cast<const float*>(to.data) + at, mask)));
      if (to.at)
        _mm256_store_si256(reinterpret_cast<__m256i*>(places + (r * vectors + v) * 16), load(to.at + at, mask));
    }
  }
  for (int v = 0; v < vectors; ++v) {
    const __mmask16 mask = v == vectors - 1 ? tail : 0xFFFF;
    for (int r = 0; r < rows; ++r) {
      const int64_t at = (m + r) * to.stride + n + 16 * v;
      const int i = (r * vectors + v) * 16;
      const __m512 value = _mm512_load_ps(raw + i);
      if (!to.half) {
        store(static_cast<float*>(to.data) + at, mask, value);
        continue;
      }
      __m256i half = halved(value);
      if (to.before) store(to.before + at, mask, half);
      if (to.activation != Activation::none) half = activated(to.activation, half);
      if (to.slope_of != Activation::none)
        half = sloped(to.slope_of, half, _mm256_load_si256(reinterpret_cast<const __m256i*>(places + i)));
      store(static_cast<uint16_t*>(to.data) + at, mask, half);
    }
  }
}

/// C tile of R rows and V vectors of columns, of which the last has `tail`. Pair k of row r stands at left[r·row +
/// k·step].
template <int R, int V>
void tile(const Pair* left, int64_t row, int64_t step, const Pair* right, int64_t pairs, const Target& to, int64_t m,
          int64_t n, __mmask16 tail) {
  expect<R, V>(to, m, n);
  __m512 sums[R][V];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) sums[r][v] = _mm512_setzero_ps();
  for (int64_t k = 0; k < pairs; ++k) {
    // The next rows, where they lie one after the other; a line has sixteen pairs.
    if (step == 1 && k % 16 == 0)
      for (int r = 0; r < R; ++r) _mm_prefetch(reinterpret_cast<const char*>(left + (r + R) * row + k), _MM_HINT_T0);
    __m512i columns[V];
    for (int v = 0; v < V; ++v) columns[v] = _mm512_load_si512(right + k * right_width + 16 * v);
    for (int r = 0; r < R; ++r) {
      const __m512i value = _mm512_set1_epi32(left[r * row + k * step]);
      for (int v = 0; v < V; ++v) sums[r][v] = _mm512_dpbf16_ps(sums[r][v], as_bf16(value), as_bf16(columns[v]));
    }
  }
  alignas(64) float raw[R * V * 16];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) _mm512_store_ps(raw + (r * V + v) * 16, sums[r][v]);
  finish(raw, R, V, to, m, n, tail);
}

template <int V>
void tile_of(int64_t rows, const Pair* left, int64_t row, int64_t step, const Pair* right, int64_t pairs,
             const Target& to, int64_t m, int64_t n, __mmask16 tail) {
  switch (rows) {
    case 1: return tile<1, V>(left, row, step, right, pairs, to, m, n, tail);
    case 2: return tile<2, V>(left, row, step, right, pairs, to, m, n, tail);
    case 3: return tile<3, V>(left, row, step, right, pairs, to, m, n, tail);
    case 4: return tile<4, V>(left, row, step, right, pairs, to, m, n, tail);
    case 5: return tile<5, V>(left, row, step, right, pairs, to, m, n, tail);
    default: return tile<6, V>(left, row, step, right, pairs, to, m, n, tail);
  }
}

/// Up to six rows against one panel, of which `columns` count.
void tile_at(int64_t rows, const Pair* left, int64_t row, int64_t step, const Pair* right, int64_t pairs,
             const Target& to, int64_t m, int64_t n, int64_t columns) {
  const int64_t vectors = std::min<int64_t>((columns + 15) / 16, 4);
  const __mmask16 tail = mask_of(columns - 16 * (vectors - 1));
  switch (vectors) {
    case 1: return tile_of<1>(rows, left, row, step, right, pairs, to, m, n, tail);
    case 2: return tile_of<2>(rows, left, row, step, right, pairs, to, m, n, tail);
    case 3: return tile_of<3>(rows, left, row, step, right, pairs, to, m, n, tail);
    default: return tile_of<4>(rows, left, row, step, right, pairs, to, m, n, tail);
  }
}

/// Asks for `count` values of a row that will be read soon. Weights and activations come from main memory, and each row
/// is too short for the processor to guess the next one.
void prefetch(const Source& from, int64_t row, int64_t at, int64_t count) {
  const int64_t size = from.wide ? 4 : 2;
  const char* data = static_cast<const char*>(from.data) + (row * from.stride + at) * size;
  for (int64_t i = 0; i < count * size; i += 64) _mm_prefetch(data + i, _MM_HINT_T0);
}

/// 32 values of a row from `at` as bfloat16 pairs; those past `count` are zero.
__m512i load_pairs(const Source& from, int64_t row, int64_t at, int64_t count, bool low) {
  const int64_t place = row * from.stride + at;
  if (!from.wide) {
    const uint16_t* data = static_cast<const uint16_t*>(from.data) + place;
    if (count >= 32) return _mm512_loadu_si512(data);
    return _mm512_maskz_loadu_epi16(count <= 0 ? 0 : (1u << count) - 1, data);
  }
  const float* data = static_cast<const float*>(from.data) + place;
  const __m512 first = load(data, mask_of(count)), second = load(data + 16, mask_of(count - 16));
  const __m512i rounded = as_integers(_mm512_cvtne2ps_pbh(second, first));
  if (!low) return rounded;
  const __m512 first_rest = _mm512_sub_ps(first, widened(_mm512_castsi512_si256(rounded)));
  const __m512 second_rest = _mm512_sub_ps(second, widened(_mm512_extracti64x4_epi64(rounded, 1)));
  return as_integers(_mm512_cvtne2ps_pbh(second_rest, first_rest));
}

/// Pairs of `depth` neighbouring rows, for 32·V columns from `at` on, of which `columns` are there. Columns c…c+15 of
/// pair k go to `place(c / 16) + k·width`. Rows are read in the order in which they lie, some cache lines of each at a
/// time.
template <int V, bool summed, class Place>
void pack_strip(const Source& from, int64_t at, int64_t columns, int64_t depth, int64_t width, Place&& place,
                float* sums) {
  constexpr int64_t ahead = 16;
  const __m512bh ones = as_bf16(_mm512_set1_epi32(0x3F803F80));
  __m512 sum[2 * V];
  Pair* to[2 * V];
  for (int v = 0; v < 2 * V; ++v) {
    sum[v] = _mm512_setzero_ps();
    to[v] = place(v);
  }
  for (int64_t row = 0; row < depth; row += 2) {
    const bool two = row + 1 < depth;
    prefetch(from, row + ahead, at, 32 * V);
    prefetch(from, row + ahead + 1, at, 32 * V);
    for (int v = 0; v < V; ++v) {
      const int64_t left = columns - 32 * v;
      const __m512i first = load_pairs(from, row, at + 32 * v, left, false),
                    second = two ? load_pairs(from, row + 1, at + 32 * v, left, false) : _mm512_setzero_si512();
      for (int half = 0; half < 2; ++half) {
        if (!to[2 * v + half]) continue;
        const __m512i pairs = _mm512_permutex2var_epi16(first, interleaved(half), second);
        _mm512_store_si512(to[2 * v + half] + row / 2 * width, pairs);
        if constexpr (summed) sum[2 * v + half] = _mm512_dpbf16_ps(sum[2 * v + half], as_bf16(pairs), ones);
      }
    }
  }
  if constexpr (summed)
    for (int v = 0; v < 2 * V; ++v) {
      const __mmask16 mask = mask_of(columns - 16 * v);
      if (mask) store(sums + 16 * v, mask, _mm512_add_ps(sum[v], load(sums + 16 * v, mask)));
    }
}

/// All columns of panels `width` wide.
template <bool summed>
void pack(const Source& matrix, int64_t columns, int64_t depth, int64_t first, int64_t last, int64_t width,
          Pair* packed, float* sums) {
  constexpr int strip = 4;  // 128 columns: lines enough to stream, sums few enough for registers
  const int64_t pairs = (depth + 1) / 2, end = last * width;
  for (int64_t at = first * width; at < end; at += 32 * strip) {
    const auto place = [&](int64_t v) -> Pair* {
      const int64_t column = at + 16 * v;
      return column < end ? packed + column / width * pairs * width + column % width : nullptr;
    };
    pack_strip<strip, summed>(matrix, at, columns - at, depth, width, place, summed ? sums + at : nullptr);
  }
}

}  // namespace

bool supported() { return vectors::supported(); }

void pack_transposed(Source weight, int64_t columns, int64_t depth, int64_t first, int64_t last, Pair* packed,
                     int64_t panel_size, bool low) {
  const int64_t pairs = (depth + 1) / 2;
  for (int64_t panel = first; panel < last; ++panel) {
    Pair* out = packed + panel * panel_size;
    for (int64_t c = 0; c < right_width; c += 16)
      for (int64_t k = 0; k < pairs; k += 16) {
        __m512i rows[16];
        for (int r = 0; r < 16; ++r) {
          const int64_t column = panel * right_width + c + r;
          rows[r] = column < columns ? load_pairs(weight, column, 2 * k, depth - 2 * k, low) : _mm512_setzero_si512();
          prefetch(weight, column + 16, 2 * k, 32);
        }
        transpose(rows);
        for (int64_t i = 0; i < std::min<int64_t>(16, pairs - k); ++i)
          _mm512_store_si512(out + (k + i) * right_width + c, rows[i]);
      }
  }
}

void pack_right(Source matrix, int64_t columns, int64_t depth, int64_t first, int64_t last, Pair* packed) {
  pack<false>(matrix, columns, depth, first, last, right_width, packed, nullptr);
}

void pack_left(Source matrix, int64_t columns, int64_t depth, int64_t first, int64_t last, Pair* packed, float* sums) {
  sums ? pack<true>(matrix, columns, depth, first, last, left_width, packed, sums)
       : pack<false>(matrix, columns, depth, first, last, left_width, packed, nullptr);
}

void split_rows(const float* from, int64_t rows, int64_t depth, uint16_t* to) {
  const Source source{from, depth, true};
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t k = 0; k < depth; k += 32) {
      const __m512i high = load_pairs(source, r, k, depth - k, false), low = load_pairs(source, r, k, depth - k, true);
      uint16_t* out = to + r * 3 * depth + k;
      for (int half = 0; half < 2; ++half, out += 16) {
        const __mmask16 mask = mask_of(depth - k - 16 * half);
        const __m256i high_half = half ? _mm512_extracti64x4_epi64(high, 1) : _mm512_castsi512_si256(high),
                      low_half = half ? _mm512_extracti64x4_epi64(low, 1) : _mm512_castsi512_si256(low);
        store(out, mask, high_half);
        store(out + depth, mask, high_half);
        store(out + 2 * depth, mask, low_half);
      }
    }
}

void multiply_rows(const uint16_t* left, int64_t rows, int64_t columns, int64_t depth, const Pair* right,
                   Target target) {
  // Rows that stay in the second cache while all panels pass.
  constexpr int64_t block = 8 * tile_rows;
  const int64_t pairs = depth / 2;
  for (int64_t begin = 0; begin < rows; begin += block)
    for (int64_t n = 0; n < columns; n += right_width)
      for (int64_t m = begin; m < std::min(begin + block, rows); m += tile_rows) {
        const Pair* a = reinterpret_cast<const Pair*>(left + m * depth);
        tile_at(std::min(tile_rows, rows - m), a, pairs, 1, right + n * pairs, pairs, target, m, n,
                std::min(right_width, columns - n));
      }
}

void multiply_packed(const Pair* left, int64_t rows, const Pair* right, int64_t columns, int64_t depth, Target target) {
  const int64_t pairs = (depth + 1) / 2;
  for (int64_t n = 0; n < columns; n += right_width)
    for (int64_t panel = 0; panel * left_width < rows; ++panel)
      for (int64_t m = 0; m < left_width; m += tile_rows) {
        const int64_t count = std::min({tile_rows, left_width - m, rows - panel * left_width - m});
        if (count <= 0) break;
        tile_at(count, left + panel * pairs * left_width + m, 1, left_width, right + n * pairs, pairs, target,
                panel * left_width + m, n, std::min(right_width, columns - n));
      }
}

void gelu(const uint16_t* from, int64_t count, uint16_t* to) {
  for (int64_t i = 0; i < count; i += 16) {
    const __mmask16 mask = mask_of(count - i);
    store(to + i, mask, activated(Activation::gelu, load(from + i, mask)));
  }
}

void gelu_backward(const uint16_t* gradient, const uint16_t* from, int64_t count, uint16_t* to) {
  for (int64_t i = 0; i < count; i += 16) {
    const __mmask16 mask = mask_of(count - i);
    store(to + i, mask, sloped(Activation::gelu, load(gradient + i, mask), load(from + i, mask)));
  }
}

}  // namespace rfdetr::gemm
