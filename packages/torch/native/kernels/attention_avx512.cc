// compile: -O3 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512bf16 -mfma -fno-math-errno
// The attention kernel for AVX512-BF16: products of bfloat16 pairs summed in float32 (vdpbf16ps), softmax in float32.
//
// Sequences of a detection transformer are short (65 to 580 tokens), so a block of query rows sees all its keys at
// once: no online softmax is needed. One (batch, head) problem runs on one thread, in a fixed order: results do not
// depend on the thread count.
#include "attention.h"
#include "vectors_avx512.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace rfdetr::attention {

namespace {

using namespace vectors;

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

/// acc[r][v] += Σ_k A[r·row + k·step] ∘ B[k·ldb + 16·v …], everything in pairs.
template <int R, int V>
inline void multiply(const Pairs* a, int64_t row, int64_t step, const Pairs* b, int64_t ldb, int64_t depth,
                     __m512 (&acc)[R][V]) {
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
void tile(const Pairs* a, int64_t row, int64_t step, const Pairs* b, int64_t ldb, int64_t depth, float* c, int64_t ldc,
          bool add) {
  __m512 acc[R][V];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) acc[r][v] = add ? _mm512_loadu_ps(c + r * ldc + 16 * v) : _mm512_setzero_ps();
  multiply<R, V>(a, row, step, b, ldb, depth, acc);
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) _mm512_storeu_ps(c + r * ldc + 16 * v, acc[r][v]);
}

template <int R, int V>
void tile_rows(int64_t rows, const Pairs* a, int64_t row, int64_t step, const Pairs* b, int64_t ldb, int64_t depth,
               float* c, int64_t ldc, bool add) {
  if constexpr (R > 1)
    if (rows < R) return tile_rows<R - 1, V>(rows, a, row, step, b, ldb, depth, c, ldc, add);
  tile<R, V>(a, row, step, b, ldb, depth, c, ldc, add);
}

/// R rows at a time of V vectors of columns: R·V sums in registers.
template <int R, int V>
void panel(int64_t rows, int64_t depth, const Pairs* a, int64_t row, int64_t step, const Pairs* b, int64_t ldb,
           float* c, int64_t ldc, bool add) {
  for (int64_t m = 0; m < rows; m += R)
    tile_rows<R, V>(std::min<int64_t>(rows - m, R), a + m * row, row, step, b, ldb, depth, c + m * ldc, ldc, add);
}

/// C[rows × columns] = or += A·B. `columns` is a multiple of 16; 24 sums at once hide the latency of a product.
void product(int64_t rows, int64_t columns, int64_t depth, const Pairs* a, int64_t row, int64_t step, const Pairs* b,
             int64_t ldb, float* c, int64_t ldc, bool add) {
  for (int64_t n = 0; n < columns; n += 64) {
    switch (std::min<int64_t>((columns - n) / 16, 4)) {
      case 1: panel<12, 1>(rows, depth, a, row, step, b + n, ldb, c + n, ldc, add); break;
      case 2: panel<12, 2>(rows, depth, a, row, step, b + n, ldb, c + n, ldc, add); break;
      case 3: panel<8, 3>(rows, depth, a, row, step, b + n, ldb, c + n, ldc, add); break;
      default: panel<6, 4>(rows, depth, a, row, step, b + n, ldb, c + n, ldc, add); break;
    }
  }
}

/// Rows [count × width] to packed[width/2][ld]: pairs along the width, one column for each row. Columns beyond `count`
/// are zero.
void pack_columns(const uint16_t* rows, int64_t stride, int64_t count, int64_t width, Pairs* packed, int64_t ld) {
  for (int64_t t = 0; t < ld; t += 16)
    for (int64_t k = 0; k < width / 2; k += 16) {
      __m512i block[16];
      for (int64_t r = 0; r < 16; ++r)
        block[r] = t + r < count ? _mm512_loadu_si512(rows + (t + r) * stride + 2 * k) : _mm512_setzero_si512();
      transpose(block);
      for (int64_t r = 0; r < 16; ++r) _mm512_store_si512(packed + (k + r) * ld + t, block[r]);
    }
}

/// Rows [count × width] to packed[(count+1)/2][width]: pairs of rows 2i and 2i+1. `width` is a multiple of 32.
void pack_rows(const uint16_t* rows, int64_t stride, int64_t count, int64_t width, Pairs* packed) {
  for (int64_t t = 0; t < count; t += 2)
    for (int64_t d = 0; d < width; d += 32) {
      const __m512i even = _mm512_loadu_si512(rows + t * stride + d);
      const __m512i odd = t + 1 < count ? _mm512_loadu_si512(rows + (t + 1) * stride + d) : _mm512_setzero_si512();
      Pairs* out = packed + t / 2 * width + d;
      _mm512_storeu_si512(out, _mm512_permutex2var_epi16(even, interleaved(false), odd));
      _mm512_storeu_si512(out + 16, _mm512_permutex2var_epi16(even, interleaved(true), odd));
    }
}

/// Float rows of an accumulator to bfloat16 rows of the result.
void write_rows(const float* from, int64_t ld, uint16_t* to, int64_t stride, int64_t rows, int64_t width) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t d = 0; d < width; d += 16) store_bf16(to + r * stride + d, _mm512_loadu_ps(from + r * ld + d));
}

uint16_t* at(const View& view, int64_t batch, int64_t head) {
  return view.data + batch * view.batch_stride + head * view.head_stride;
}
const Pairs* pairs(const uint16_t* data) { return reinterpret_cast<const Pairs*>(data); }

}  // namespace

bool supported() { return vectors::supported(); }

void forward(const Problem& p, View query, View key, View value, View out, float* lse, int64_t first, int64_t last) {
  // Scores of so few rows stay in the nearest caches.
  constexpr int64_t block = 24;
  const int64_t columns = round_up(p.keys, 32);
  scratch.reserve(4 * (p.width / 2 * columns + columns / 2 * p.width + block * columns + block * p.width) +
                  2 * block * columns + 8 * 64);
  auto* keys = scratch.take<Pairs>(p.width / 2 * columns);
  auto* values = scratch.take<Pairs>(columns / 2 * p.width);
  auto* scores = scratch.take<float>(block * columns);
  auto* sums = scratch.take<float>(block * p.width);
  auto* weights = scratch.take<uint16_t>(block * columns);
  const __m512 power_scale = _mm512_set1_ps(p.scale * log2_e);
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
        for (int64_t t = 0; t < p.keys; t += 16)
          top = _mm512_mask_max_ps(top, mask_of(p.keys - t), top, _mm512_loadu_ps(score + t));
        const float peak = _mm512_reduce_max_ps(top);
        const __m512 shift = _mm512_set1_ps(peak);
        __m512 total = _mm512_setzero_ps();
        for (int64_t t = 0; t < columns; t += 16) {
          const __m512 e = _mm512_maskz_mov_ps(
              mask_of(p.keys - t), exp2(_mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(score + t), shift), power_scale)));
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
          store_bf16(o + r * out.row_stride + d,
                     _mm512_mul_ps(_mm512_loadu_ps(sums + r * p.width + d), _mm512_set1_ps(inverse[r])));
    }
  }
}

namespace {

constexpr int64_t block = 64;  // queries of one pass of backward over the keys

/// What backward makes of one block of queries and all keys, everything with the queries along a row.
struct Slopes {
  const Pairs *queries, *gradients;  // [width/2][block], pairs along the width
  const float *lse, *delta;          // [block]; lse in powers of two
  uint16_t *weights, *slopes;        // [keys][block]
  Pairs* slope_pairs;                // [keys/2][block], pairs of neighbouring keys
};

/// Weights exp(s − lse) and the gradients of the scores for two neighbouring keys and 16·V queries: scores and
/// gradients of weights are summed side by side in registers, and never written. `second` is false where the keys end
/// with the first of the two.
template <int V>
void slopes_of(const Slopes& to, int64_t width, const Pairs* const (&keys)[2], const Pairs* const (&values)[2],
               int64_t key, bool second, __m512 scale, __m512 power_scale) {
  __m512 scores[2][V], slopes[2][V];
  for (int r = 0; r < 2; ++r)
    for (int v = 0; v < V; ++v) scores[r][v] = slopes[r][v] = _mm512_setzero_ps();
  for (int64_t k = 0; k < width / 2; ++k) {
    const __m512i key_pairs[2] = {_mm512_set1_epi32(keys[0][k]), _mm512_set1_epi32(keys[1][k])};
    const __m512i value_pairs[2] = {_mm512_set1_epi32(values[0][k]), _mm512_set1_epi32(values[1][k])};
    for (int v = 0; v < V; ++v) {
      const __m512i query = _mm512_load_si512(to.queries + k * block + 16 * v),
                    gradient = _mm512_load_si512(to.gradients + k * block + 16 * v);
      for (int r = 0; r < 2; ++r) {
        scores[r][v] = _mm512_dpbf16_ps(scores[r][v], as_bf16(key_pairs[r]), as_bf16(query));
        slopes[r][v] = _mm512_dpbf16_ps(slopes[r][v], as_bf16(value_pairs[r]), as_bf16(gradient));
      }
    }
  }
  for (int v = 0; v < V; ++v) {
    const __m512 lse = _mm512_load_ps(to.lse + 16 * v), delta = _mm512_load_ps(to.delta + 16 * v);
    __m256i slope[2];
    for (int r = 0; r < 2; ++r) {
      const __mmask16 mask = r == 0 || second ? 0xFFFF : 0;
      const __m512 weight = _mm512_maskz_mov_ps(mask, exp2(_mm512_fmsub_ps(scores[r][v], power_scale, lse)));
      const __m512 ds = _mm512_maskz_mul_ps(mask, _mm512_mul_ps(weight, _mm512_sub_ps(slopes[r][v], delta)), scale);
      slope[r] = halved(ds);
      store_bf16(to.weights + (key + r) * block + 16 * v, weight);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to.slopes + (key + r) * block + 16 * v), slope[r]);
    }
    _mm512_store_si512(
        to.slope_pairs + key / 2 * block + 16 * v,
        _mm512_or_si512(_mm512_cvtepu16_epi32(slope[0]), _mm512_slli_epi32(_mm512_cvtepu16_epi32(slope[1]), 16)));
  }
}

/// Σ_d of two bfloat16 rows.
float dot(const uint16_t* a, const uint16_t* b, int64_t width) {
  __m512 sum = _mm512_setzero_ps();
  for (int64_t d = 0; d < width; d += 32)
    sum = _mm512_dpbf16_ps(sum, as_bf16(_mm512_loadu_si512(a + d)), as_bf16(_mm512_loadu_si512(b + d)));
  return _mm512_reduce_add_ps(sum);
}

}  // namespace

void backward(const Problem& p, View query, View key, View value, View out, View out_gradient, const float* lse,
              View query_gradient, View key_gradient, View value_gradient, int64_t first, int64_t last) {
  const int64_t width = p.width, keys = round_up(p.keys, 2);
  scratch.reserve(4 * (2 * width / 2 * block + 2 * block / 2 * width + keys / 2 * width + keys / 2 * block + 2 * block +
                       block * width + 2 * keys * width) +
                  2 * 2 * keys * block + 16 * 64);
  auto* queries_by_width = scratch.take<Pairs>(width / 2 * block);
  auto* gradients_by_width = scratch.take<Pairs>(width / 2 * block);
  auto* queries_by_row = scratch.take<Pairs>(block / 2 * width);
  auto* gradients_by_row = scratch.take<Pairs>(block / 2 * width);
  auto* keys_by_row = scratch.take<Pairs>(keys / 2 * width);
  auto* slope_pairs = scratch.take<Pairs>(keys / 2 * block);
  auto* powers = scratch.take<float>(block);
  auto* delta = scratch.take<float>(block);
  auto* query_sums = scratch.take<float>(block * width);
  auto* key_sums = scratch.take<float>(keys * width);
  auto* value_sums = scratch.take<float>(keys * width);
  auto* weights = scratch.take<uint16_t>(keys * block);
  auto* slopes = scratch.take<uint16_t>(keys * block);
  const Slopes to{queries_by_width, gradients_by_width, powers, delta, weights, slopes, slope_pairs};
  const __m512 scale = _mm512_set1_ps(p.scale), power_scale = _mm512_set1_ps(p.scale * log2_e);
  for (int64_t problem = first; problem < last; ++problem) {
    const int64_t b = problem / p.heads, h = problem % p.heads;
    const uint16_t *k = at(key, b, h), *v = at(value, b, h);
    pack_rows(k, key.row_stride, p.keys, width, keys_by_row);
    for (int64_t start = 0; start < p.queries; start += block) {
      const int64_t rows = std::min(block, p.queries - start), vectors = (rows + 15) / 16;
      const uint16_t* q = at(query, b, h) + start * query.row_stride;
      const uint16_t* o = at(out, b, h) + start * out.row_stride;
      const uint16_t* g = at(out_gradient, b, h) + start * out_gradient.row_stride;
      for (int64_t r = 0; r < 16 * vectors; ++r) {
        // Queries past the end have no weight.
        powers[r] = r < rows ? lse[problem * p.queries + start + r] * log2_e : INFINITY;
        delta[r] = r < rows ? dot(o + r * out.row_stride, g + r * out_gradient.row_stride, width) : 0;
      }
      pack_columns(q, query.row_stride, rows, width, queries_by_width, block);
      pack_columns(g, out_gradient.row_stride, rows, width, gradients_by_width, block);
      pack_rows(q, query.row_stride, rows, width, queries_by_row);
      pack_rows(g, out_gradient.row_stride, rows, width, gradients_by_row);
      for (int64_t t = 0; t < p.keys; t += 2) {
        const bool second = t + 1 < p.keys;
        const int64_t next = second ? t + 1 : t;
        const Pairs* const two_keys[2] = {pairs(k + t * key.row_stride), pairs(k + next * key.row_stride)};
        const Pairs* const two_values[2] = {pairs(v + t * value.row_stride), pairs(v + next * value.row_stride)};
        switch (vectors) {
          case 1: slopes_of<1>(to, width, two_keys, two_values, t, second, scale, power_scale); break;
          case 2: slopes_of<2>(to, width, two_keys, two_values, t, second, scale, power_scale); break;
          case 3: slopes_of<3>(to, width, two_keys, two_values, t, second, scale, power_scale); break;
          default: slopes_of<4>(to, width, two_keys, two_values, t, second, scale, power_scale); break;
        }
      }
      const bool add = start > 0;
      product(p.keys, width, (rows + 1) / 2, pairs(weights), block / 2, 1, gradients_by_row, width, value_sums, width,
              add);
      product(p.keys, width, (rows + 1) / 2, pairs(slopes), block / 2, 1, queries_by_row, width, key_sums, width, add);
      product(rows, width, keys / 2, slope_pairs, 1, block, keys_by_row, width, query_sums, width, false);
      write_rows(query_sums, width, at(query_gradient, b, h) + start * query_gradient.row_stride,
                 query_gradient.row_stride, rows, width);
    }
    write_rows(key_sums, width, at(key_gradient, b, h), key_gradient.row_stride, p.keys, width);
    write_rows(value_sums, width, at(value_gradient, b, h), value_gradient.row_stride, p.keys, width);
  }
}

}  // namespace rfdetr::attention
