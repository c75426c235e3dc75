// compile: -O3 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512bf16 -mfma -fno-math-errno
// The attention kernel for AVX512-BF16: products of bfloat16 pairs summed in float32 (vdpbf16ps), softmax in float32.
//
// Sequences of a detection transformer are short (65 to 580 tokens), so a block of query rows sees all its keys at once: no online
// softmax is needed. One (batch, head) problem runs on one thread, in a fixed order: results do not depend on the thread count.
#include "attention.h"

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace rfdetr::attention {

namespace {

using Pairs = int32_t;  // two neighbouring bfloat16 values, as vdpbf16ps takes them

int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

/// Scratch of one thread, grown as needed and handed out in pieces aligned to cache lines.
class Scratch {
 public:
  template <class T>
  T* take(int64_t count) {
    const int64_t bytes = round_up(count * static_cast<int64_t>(sizeof(T)), 64);
    T* piece = reinterpret_cast<T*>(base_ + used_);
    used_ += bytes;
    return piece;
  }
  void reserve(int64_t bytes) {
    used_ = 0;
    if (bytes <= size_) return;
    std::free(base_);
    base_ = static_cast<char*>(std::aligned_alloc(64, round_up(bytes, 4096)));
    if (!base_) {
      size_ = 0;
      throw std::bad_alloc();
    }
    size_ = bytes;
  }
  ~Scratch() { std::free(base_); }

 private:
  char* base_ = nullptr;
  int64_t size_ = 0, used_ = 0;
};
thread_local Scratch scratch;

__m512bh as_bf16(__m512i v) { return reinterpret_cast<__m512bh>(v); }

/// acc[r][v] += Σ_k A[r·row + k·step] ∘ B[k·ldb + 16·v …], everything in pairs.
template <int R, int V>
inline void multiply(const Pairs* a, int64_t row, int64_t step, const Pairs* b, int64_t ldb, int64_t depth, __m512 (&acc)[R][V]) {
  for (int64_t k = 0; k < depth; ++k) {
    __m512i columns[V];
    for (int v = 0; v < V; ++v) columns[v] = _mm512_loadu_si512(b + k * ldb + 16 * v);
    for (int r = 0; r < R; ++r) {
      const __m512i left = _mm512_set1_epi32(a[r * row + k * step]);
      for (int v = 0; v < V; ++v) acc[r][v] = _mm512_dpbf16_ps(acc[r][v], as_bf16(left), as_bf16(columns[v]));
    }
  }
}

/// C (float32) = or += A·B on a tile of R rows and 16·V columns.
template <int R, int V>
void tile(const Pairs* a, int64_t row, int64_t step, const Pairs* b, int64_t ldb, int64_t depth, float* c, int64_t ldc, bool add) {
  __m512 acc[R][V];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) acc[r][v] = add ? _mm512_loadu_ps(c + r * ldc + 16 * v) : _mm512_setzero_ps();
  multiply<R, V>(a, row, step, b, ldb, depth, acc);
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) _mm512_storeu_ps(c + r * ldc + 16 * v, acc[r][v]);
}

template <int V>
void tile_rows(int64_t rows, const Pairs* a, int64_t row, int64_t step, const Pairs* b, int64_t ldb, int64_t depth, float* c, int64_t ldc, bool add) {
  switch (rows) {
    case 1: return tile<1, V>(a, row, step, b, ldb, depth, c, ldc, add);
    case 2: return tile<2, V>(a, row, step, b, ldb, depth, c, ldc, add);
    case 3: return tile<3, V>(a, row, step, b, ldb, depth, c, ldc, add);
    case 4: return tile<4, V>(a, row, step, b, ldb, depth, c, ldc, add);
    case 5: return tile<5, V>(a, row, step, b, ldb, depth, c, ldc, add);
    default: return tile<6, V>(a, row, step, b, ldb, depth, c, ldc, add);
  }
}

/// C[rows × columns] = or += A·B. `columns` is a multiple of 16; six rows and four vectors of columns fill the registers.
void product(int64_t rows, int64_t columns, int64_t depth, const Pairs* a, int64_t row, int64_t step, const Pairs* b, int64_t ldb, float* c, int64_t ldc, bool add) {
  for (int64_t n = 0; n < columns; n += 64) {
    const int64_t vectors = std::min<int64_t>((columns - n) / 16, 4);
    for (int64_t m = 0; m < rows; m += 6) {
      const int64_t count = std::min<int64_t>(rows - m, 6);
      const Pairs* left = a + m * row;
      const Pairs* right = b + n;
      float* out = c + m * ldc + n;
      switch (vectors) {
        case 1: tile_rows<1>(count, left, row, step, right, ldb, depth, out, ldc, add); break;
        case 2: tile_rows<2>(count, left, row, step, right, ldb, depth, out, ldc, add); break;
        case 3: tile_rows<3>(count, left, row, step, right, ldb, depth, out, ldc, add); break;
        default: tile_rows<4>(count, left, row, step, right, ldb, depth, out, ldc, add); break;
      }
    }
  }
}

/// Rows [count × width] to packed[width/2][ld]: pairs along the width, one column for each row. Columns beyond `count` are zero.
void pack_columns(const uint16_t* rows, int64_t stride, int64_t count, int64_t width, Pairs* packed, int64_t ld) {
  const __m512i offsets = _mm512_mullo_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), _mm512_set1_epi32(static_cast<int>(stride * 2)));
  for (int64_t t = 0; t < ld; t += 16) {
    const int64_t left = std::clamp<int64_t>(count - t, 0, 16);
    const __mmask16 mask = static_cast<__mmask16>((1u << left) - 1);
    const char* base = reinterpret_cast<const char*>(rows + t * stride);
    for (int64_t k = 0; k < width / 2; ++k)
      _mm512_storeu_si512(packed + k * ld + t, _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), mask, offsets, base + 4 * k, 1));
  }
}

const __m512i& interleave_low() {
  alignas(64) static const uint16_t index[32] = {0, 32, 1, 33, 2, 34, 3, 35, 4, 36, 5, 37, 6, 38, 7, 39, 8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
  return *reinterpret_cast<const __m512i*>(index);
}
const __m512i& interleave_high() {
  alignas(64) static const uint16_t index[32] = {16, 48, 17, 49, 18, 50, 19, 51, 20, 52, 21, 53, 22, 54, 23, 55, 24, 56, 25, 57, 26, 58, 27, 59, 28, 60, 29, 61, 30, 62, 31, 63};
  return *reinterpret_cast<const __m512i*>(index);
}

/// Rows [count × width] to packed[(count+1)/2][width]: pairs of rows 2i and 2i+1. `width` is a multiple of 32.
void pack_rows(const uint16_t* rows, int64_t stride, int64_t count, int64_t width, Pairs* packed) {
  for (int64_t t = 0; t < count; t += 2)
    for (int64_t d = 0; d < width; d += 32) {
      const __m512i even = _mm512_loadu_si512(rows + t * stride + d);
      const __m512i odd = t + 1 < count ? _mm512_loadu_si512(rows + (t + 1) * stride + d) : _mm512_setzero_si512();
      Pairs* out = packed + t / 2 * width + d;
      _mm512_storeu_si512(out, _mm512_permutex2var_epi16(even, interleave_low(), odd));
      _mm512_storeu_si512(out + 16, _mm512_permutex2var_epi16(even, interleave_high(), odd));
    }
}

/// exp(x) to float32 accuracy; −∞ gives 0, NaN stays.
inline __m512 exp(__m512 x) {
  const __m512 power = _mm512_mul_ps(x, _mm512_set1_ps(1.44269504088896341f));
  const __m512 whole = _mm512_roundscale_ps(power, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m512 rest = _mm512_fnmadd_ps(whole, _mm512_set1_ps(0.693145751953125f), x);
  rest = _mm512_fnmadd_ps(whole, _mm512_set1_ps(1.428606765330187045e-6f), rest);
  __m512 p = _mm512_set1_ps(1.0f / 720);
  p = _mm512_fmadd_ps(p, rest, _mm512_set1_ps(1.0f / 120));
  p = _mm512_fmadd_ps(p, rest, _mm512_set1_ps(1.0f / 24));
  p = _mm512_fmadd_ps(p, rest, _mm512_set1_ps(1.0f / 6));
  p = _mm512_fmadd_ps(p, rest, _mm512_set1_ps(0.5f));
  p = _mm512_fmadd_ps(p, rest, _mm512_set1_ps(1.0f));
  p = _mm512_fmadd_ps(p, rest, _mm512_set1_ps(1.0f));
  const __m512 result = _mm512_scalef_ps(p, whole);
  // Far below the range the remainder is not small any more, and of −∞ it is NaN: those are zero.
  const __mmask16 tiny = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-104.0f), _CMP_LT_OQ);
  return _mm512_mask_mov_ps(result, tiny, _mm512_setzero_ps());
}

inline __mmask16 mask_of(int64_t left) { return static_cast<__mmask16>(left >= 16 ? 0xFFFF : left <= 0 ? 0 : (1u << left) - 1); }

inline void store_bf16(uint16_t* to, __m512 value) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(value))); }

/// Float rows of an accumulator to bfloat16 rows of the result.
void write_rows(const float* from, int64_t ld, uint16_t* to, int64_t stride, int64_t rows, int64_t width) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t d = 0; d < width; d += 16) store_bf16(to + r * stride + d, _mm512_loadu_ps(from + r * ld + d));
}

uint16_t* at(const View& view, int64_t batch, int64_t head) { return view.data + batch * view.batch_stride + head * view.head_stride; }
const Pairs* pairs(const uint16_t* data) { return reinterpret_cast<const Pairs*>(data); }

}  // namespace

bool supported() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

void forward(const Problem& p, View query, View key, View value, View out, float* lse, int64_t first, int64_t last) {
  constexpr int64_t block = 48;
  const int64_t columns = round_up(p.keys, 32);
  scratch.reserve(4 * (p.width / 2 * columns + columns / 2 * p.width + block * columns + block * p.width) + 2 * block * columns + 8 * 64);
  auto* keys = scratch.take<Pairs>(p.width / 2 * columns);
  auto* values = scratch.take<Pairs>(columns / 2 * p.width);
  auto* scores = scratch.take<float>(block * columns);
  auto* sums = scratch.take<float>(block * p.width);
  auto* weights = scratch.take<uint16_t>(block * columns);
  for (int64_t problem = first; problem < last; ++problem) {
    const int64_t b = problem / p.heads, h = problem % p.heads;
    pack_columns(at(key, b, h), key.row_stride, p.keys, p.width, keys, columns);
    pack_rows(at(value, b, h), value.row_stride, p.keys, p.width, values);
    for (int64_t start = 0; start < p.queries; start += block) {
      const int64_t rows = std::min(block, p.queries - start);
      const uint16_t* q = at(query, b, h) + start * query.row_stride;
      product(rows, columns, p.width / 2, pairs(q), query.row_stride / 2, 1, keys, columns, scores, columns, false);
      float inverse[block];
      for (int64_t r = 0; r < rows; ++r) {
        const float* score = scores + r * columns;
        uint16_t* weight = weights + r * columns;
        __m512 top = _mm512_set1_ps(-INFINITY);
        for (int64_t t = 0; t < p.keys; t += 16) top = _mm512_mask_max_ps(top, mask_of(p.keys - t), top, _mm512_loadu_ps(score + t));
        const float peak = _mm512_reduce_max_ps(top);
        const __m512 shift = _mm512_set1_ps(peak), scale = _mm512_set1_ps(p.scale);
        __m512 total = _mm512_setzero_ps();
        for (int64_t t = 0; t < columns; t += 16) {
          const __mmask16 mask = mask_of(p.keys - t);
          const __m512 e = _mm512_maskz_mov_ps(mask, exp(_mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(score + t), shift), scale)));
          total = _mm512_add_ps(total, e);
          store_bf16(weight + t, e);
        }
        const float sum = _mm512_reduce_add_ps(total);
        inverse[r] = 1 / sum;
        lse[problem * p.queries + start + r] = peak * p.scale + std::log(sum);
      }
      product(rows, p.width, (p.keys + 1) / 2, pairs(weights), columns / 2, 1, values, p.width, sums, p.width, false);
      uint16_t* o = at(out, b, h) + start * out.row_stride;
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t d = 0; d < p.width; d += 16)
          store_bf16(o + r * out.row_stride + d, _mm512_mul_ps(_mm512_loadu_ps(sums + r * p.width + d), _mm512_set1_ps(inverse[r])));
    }
  }
}

void backward(const Problem& p, View query, View key, View value, View out_gradient, const float* lse, const float* delta, View query_gradient,
              View key_gradient, View value_gradient, int64_t first, int64_t last) {
  constexpr int64_t block = 64;
  const int64_t columns = round_up(p.keys, 32), width = p.width;
  scratch.reserve(4 * (2 * (width / 2) * columns + columns / 2 * width + 2 * block * columns + 2 * (block / 2) * columns + 2 * (block / 2) * width + block * width + 2 * columns * width) +
                  2 * block * columns + 16 * 64);
  auto* keys_by_width = scratch.take<Pairs>(width / 2 * columns);
  auto* values_by_width = scratch.take<Pairs>(width / 2 * columns);
  auto* keys_by_row = scratch.take<Pairs>(columns / 2 * width);
  auto* scores = scratch.take<float>(block * columns);
  auto* slopes = scratch.take<float>(block * columns);
  auto* weight_pairs = scratch.take<Pairs>(block / 2 * columns);
  auto* slope_pairs = scratch.take<Pairs>(block / 2 * columns);
  auto* query_pairs = scratch.take<Pairs>(block / 2 * width);
  auto* gradient_pairs = scratch.take<Pairs>(block / 2 * width);
  auto* query_sums = scratch.take<float>(block * width);
  auto* key_sums = scratch.take<float>(columns * width);
  auto* value_sums = scratch.take<float>(columns * width);
  auto* slope_rows = scratch.take<uint16_t>(block * columns);
  const __m512 scale = _mm512_set1_ps(p.scale);
  for (int64_t problem = first; problem < last; ++problem) {
    const int64_t b = problem / p.heads, h = problem % p.heads;
    pack_columns(at(key, b, h), key.row_stride, p.keys, width, keys_by_width, columns);
    pack_columns(at(value, b, h), value.row_stride, p.keys, width, values_by_width, columns);
    pack_rows(at(key, b, h), key.row_stride, p.keys, width, keys_by_row);
    for (int64_t start = 0; start < p.queries; start += block) {
      const int64_t rows = std::min(block, p.queries - start);
      const uint16_t* q = at(query, b, h) + start * query.row_stride;
      const uint16_t* g = at(out_gradient, b, h) + start * out_gradient.row_stride;
      product(rows, columns, width / 2, pairs(q), query.row_stride / 2, 1, keys_by_width, columns, scores, columns, false);
      product(rows, columns, width / 2, pairs(g), out_gradient.row_stride / 2, 1, values_by_width, columns, slopes, columns, false);
      for (int64_t r = 0; r < rows; r += 2) {
        const bool two = r + 1 < rows;
        const int64_t row = problem * p.queries + start + r;
        for (int64_t t = 0; t < columns; t += 16) {
          const __mmask16 mask = mask_of(p.keys - t);
          __m256i weight[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()}, slope[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
          for (int i = 0; i < (two ? 2 : 1); ++i) {
            const int64_t at = (r + i) * columns + t;
            const __m512 e = _mm512_maskz_mov_ps(mask, exp(_mm512_fmsub_ps(_mm512_loadu_ps(scores + at), scale, _mm512_set1_ps(lse[row + i]))));
            const __m512 ds = _mm512_mul_ps(_mm512_mul_ps(e, _mm512_sub_ps(_mm512_loadu_ps(slopes + at), _mm512_set1_ps(delta[row + i]))), scale);
            weight[i] = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(e));
            slope[i] = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_maskz_mov_ps(mask, ds)));
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(slope_rows + at), slope[i]);
          }
          const __m512i weights = _mm512_or_si512(_mm512_cvtepu16_epi32(weight[0]), _mm512_slli_epi32(_mm512_cvtepu16_epi32(weight[1]), 16));
          const __m512i both = _mm512_or_si512(_mm512_cvtepu16_epi32(slope[0]), _mm512_slli_epi32(_mm512_cvtepu16_epi32(slope[1]), 16));
          _mm512_storeu_si512(weight_pairs + r / 2 * columns + t, weights);
          _mm512_storeu_si512(slope_pairs + r / 2 * columns + t, both);
        }
      }
      pack_rows(q, query.row_stride, rows, width, query_pairs);
      pack_rows(g, out_gradient.row_stride, rows, width, gradient_pairs);
      const bool add = start > 0;
      product(p.keys, width, (rows + 1) / 2, weight_pairs, 1, columns, gradient_pairs, width, value_sums, width, add);
      product(p.keys, width, (rows + 1) / 2, slope_pairs, 1, columns, query_pairs, width, key_sums, width, add);
      product(rows, width, (p.keys + 1) / 2, pairs(slope_rows), columns / 2, 1, keys_by_row, width, query_sums, width, false);
      write_rows(query_sums, width, at(query_gradient, b, h) + start * query_gradient.row_stride, query_gradient.row_stride, rows, width);
    }
    write_rows(key_sums, width, at(key_gradient, b, h), key_gradient.row_stride, p.keys, width);
    write_rows(value_sums, width, at(value_gradient, b, h), value_gradient.row_stride, p.keys, width);
  }
}

}  // namespace rfdetr::attention
