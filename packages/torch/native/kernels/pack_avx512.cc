// compile: -O3 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512bf16 -mfma
// Packs the operands of matrix products into panels of pairs, in the order in which the micro-kernel reads them.
#ifdef __x86_64__
#include "pack_avx512.h"

#include "vectors_avx512.h"

#include <algorithm>

namespace rfdetr::gemm {

namespace {

using namespace vectors;

/// Prefetches `count` values of a row. The matrices come from main memory, and their rows are too short for the
/// hardware prefetcher.
void prefetch(const Source& from, int64_t row, int64_t column, int64_t count) {
  const int64_t size = from.is_f32 ? 4 : 2;
  const char* data = static_cast<const char*>(from.data) + (row * from.stride + column) * size;
  for (int64_t i = 0; i < count * size; i += 64) _mm_prefetch(data + i, _MM_HINT_T0);
}

/// 32 values of a row, or their rounding errors (`residual`), as pairs; those from `count` on are zero.
__m512i load_pairs(const Source& from, int64_t row, int64_t column, int64_t count, bool residual) {
  const int64_t place = row * from.stride + column;
  if (!from.is_f32) {
    const uint16_t* data = static_cast<const uint16_t*>(from.data) + place;
    if (count >= 32) return _mm512_loadu_si512(data);
    return _mm512_maskz_loadu_epi16(count <= 0 ? 0 : (1u << count) - 1, data);
  }
  const float* data = static_cast<const float*>(from.data) + place;
  const __m512 first = load(data, first_lanes(count)), second = load(data + 16, first_lanes(count - 16));
  const __m512i rounded = as_integers(_mm512_cvtne2ps_pbh(second, first));
  if (!residual) return rounded;
  const __m512 first_rest = _mm512_sub_ps(first, to_f32(_mm512_castsi512_si256(rounded)));
  const __m512 second_rest = _mm512_sub_ps(second, to_f32(_mm512_extracti64x4_epi64(rounded, 1)));
  return as_integers(_mm512_cvtne2ps_pbh(second_rest, first_rest));
}

/// Packs 32·V columns over all rows. `columns` of them, from `column` on, are in the matrix; the others become zeros.
/// Pair k of columns 16·v … 16·v + 15 goes to `panel_of(v) + k·width`, unless panel_of(v) is null. Reads a few cache
/// lines of each row, row after row.
template <int V, bool summed, class PanelOf>
void pack_strip(const Source& from, int64_t column, int64_t columns, int64_t depth, int64_t width, PanelOf&& panel_of,
                float* sums) {
  constexpr int64_t rows_ahead = 16;
  const __m512bh ones = as_bf16(_mm512_set1_epi32(0x3F803F80));
  __m512 sum[2 * V];
  Pair* to[2 * V];
  for (int v = 0; v < 2 * V; ++v) {
    sum[v] = _mm512_setzero_ps();
    to[v] = panel_of(v);
  }
  for (int64_t row = 0; row < depth; row += 2) {
    const bool two = row + 1 < depth;
    prefetch(from, row + rows_ahead, column, 32 * V);
    prefetch(from, row + rows_ahead + 1, column, 32 * V);
    for (int v = 0; v < V; ++v) {
      const int64_t count = columns - 32 * v;
      const __m512i first = load_pairs(from, row, column + 32 * v, count, false);
      const __m512i second = two ? load_pairs(from, row + 1, column + 32 * v, count, false) : _mm512_setzero_si512();
      for (int high = 0; high < 2; ++high) {
        if (!to[2 * v + high]) continue;
        const __m512i pairs = _mm512_permutex2var_epi16(first, interleave_index(high), second);
        _mm512_store_si512(to[2 * v + high] + row / 2 * width, pairs);
        if constexpr (summed) sum[2 * v + high] = _mm512_dpbf16_ps(sum[2 * v + high], as_bf16(pairs), ones);
      }
    }
  }
  if constexpr (summed)
    for (int v = 0; v < 2 * V; ++v) {
      // Sums of the next panels belong to whoever packs those, perhaps at this moment.
      const __mmask16 mask = to[v] ? first_lanes(columns - 16 * v) : 0;
      if (mask) store(sums + 16 * v, mask, _mm512_add_ps(sum[v], load(sums + 16 * v, mask)));
    }
}

/// Clears the pairs from `used` to `pairs` of panels first…last.
void clear_rest(Pair* packed, int64_t width, int64_t used, int64_t pairs, int64_t first, int64_t last) {
  for (int64_t panel = first; used < pairs && panel < last; ++panel)
    std::fill(packed + (panel * pairs + used) * width, packed + (panel + 1) * pairs * width, 0);
}

/// Packs panels first…last, `width` columns and `pairs` pairs each.
template <bool summed>
void pack(const Source& matrix, int64_t columns, int64_t depth, int64_t first, int64_t last, int64_t width,
          int64_t pairs, Pair* packed, float* sums) {
  constexpr int strip = 4;  // 128 columns: enough cache lines of a row to stream, few enough sums for the registers
  const int64_t end = last * width;
  for (int64_t begin = first * width; begin < end; begin += 32 * strip) {
    const auto panel_of = [&](int64_t v) -> Pair* {
      const int64_t column = begin + 16 * v;
      return column < end ? packed + column / width * pairs * width + column % width : nullptr;
    };
    pack_strip<strip, summed>(matrix, begin, columns - begin, depth, width, panel_of, summed ? sums + begin : nullptr);
  }
  clear_rest(packed, width, (depth + 1) / 2, pairs, first, last);
}

/// Packs weights to panels of `width` columns and `pairs` pairs, from pair `begin` of each on. With `residual`, packs
/// the rounding error of each weight, itself rounded to bfloat16.
void pack_transposed_part(const Source& weight, int64_t columns, int64_t depth, int64_t width, int64_t first,
                          int64_t last, int64_t pairs, int64_t begin, bool residual, Pair* packed) {
  const int64_t count = (depth + 1) / 2;
  for (int64_t panel = first; panel < last; ++panel) {
    Pair* to = packed + (panel * pairs + begin) * width;
    for (int64_t c = 0; c < width; c += 16)
      for (int64_t k = 0; k < count; k += 16) {
        __m512i rows[16];
        for (int r = 0; r < 16; ++r) {
          const int64_t column = panel * width + c + r;
          rows[r] =
              column < columns ? load_pairs(weight, column, 2 * k, depth - 2 * k, residual) : _mm512_setzero_si512();
          prefetch(weight, column + 16, 2 * k, 32);
        }
        transpose(rows);
        for (int64_t i = 0; i < std::min<int64_t>(16, count - k); ++i)
          _mm512_store_si512(to + (k + i) * width + c, rows[i]);
      }
  }
}

}  // namespace

template <int64_t width>
void pack_transposed(const Source& weight, int64_t columns, int64_t depth, int64_t pairs, int64_t first, int64_t last,
                     Pair* packed) {
  pack_transposed_part(weight, columns, depth, width, first, last, pairs, 0, false, packed);
  clear_rest(packed, width, (depth + 1) / 2, pairs, first, last);
}

template <int64_t width>
void pack_right(const Source& matrix, int64_t columns, int64_t depth, int64_t pairs, int64_t first, int64_t last,
                Pair* packed) {
  pack<false>(matrix, columns, depth, first, last, width, pairs, packed, nullptr);
}

// For vectors, and for matrix units.
template void pack_transposed<64>(const Source&, int64_t, int64_t, int64_t, int64_t, int64_t, Pair*);
template void pack_transposed<32>(const Source&, int64_t, int64_t, int64_t, int64_t, int64_t, Pair*);
template void pack_right<64>(const Source&, int64_t, int64_t, int64_t, int64_t, int64_t, Pair*);
template void pack_right<32>(const Source&, int64_t, int64_t, int64_t, int64_t, int64_t, Pair*);

void pack_left(const Source& matrix, int64_t columns, int64_t depth, int64_t pairs, int64_t first, int64_t last,
               Pair* packed, float* sums) {
  sums ? pack<true>(matrix, columns, depth, first, last, left_width, pairs, packed, sums)
       : pack<false>(matrix, columns, depth, first, last, left_width, pairs, packed, nullptr);
}

void pack_split(const Source& weight, int64_t columns, int64_t depth, int64_t width, int64_t cells, int64_t first,
                int64_t last, Cell* packed) {
  const int64_t pairs = (depth + 1) / 2;
  for (int64_t part = 0; part < 3; ++part)
    pack_transposed_part(weight, columns, depth, width, first, last, cells, part * pairs, part == 1, packed);
  clear_rest(packed, width, 3 * pairs, cells, first, last);
}

void split_rows(const float* from, int64_t rows, int64_t depth, uint16_t* to) {
  const Source source{from, depth, true, true};
  const auto half = [](__m512i pairs, int high) {
    return high ? _mm512_extracti64x4_epi64(pairs, 1) : _mm512_castsi512_si256(pairs);
  };
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t k = 0; k < depth; k += 32) {
      const __m512i rounded = load_pairs(source, r, k, depth - k, false);
      const __m512i residual = load_pairs(source, r, k, depth - k, true);
      uint16_t* out = to + r * 3 * depth + k;
      for (int high = 0; high < 2; ++high, out += 16) {
        const __mmask16 mask = first_lanes(depth - k - 16 * high);
        store(out, mask, half(rounded, high));
        store(out + depth, mask, half(rounded, high));
        store(out + 2 * depth, mask, half(residual, high));
      }
    }
}

}  // namespace rfdetr::gemm
#else
#include "gemm.h"

// Nobody calls these without kernels of pairs.
void rfdetr::gemm::pack_split(const Source&, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, Cell*) {}
void rfdetr::gemm::split_rows(const float*, int64_t, int64_t, uint16_t*) {}
#endif
