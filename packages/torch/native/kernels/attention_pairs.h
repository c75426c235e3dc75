// The attention kernel on pairs of bfloat16: products summed in float32, in vectors or in matrix units, and softmax in
// float32. Only for files that are compiled for CPUs with AVX512-BF16.
//
// The sequences of a detection transformer are short (65 to 580 tokens), so a block of query rows sees all its keys at
// once, without an online softmax. One thread computes one (batch, head) pair in one order: the thread count changes
// nothing.
#pragma once
#include "attention.h"
#include "attention_products_avx512.h"
#include "scratch.h"

#include <algorithm>
#include <cmath>

namespace rfdetr::attention {

namespace {

using namespace vectors;

using View = attention::View<Bf16>;
using Inputs = attention::Inputs<Bf16>;
using Result = attention::Result<Bf16>;

thread_local Scratch scratch;

constexpr int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// --- forward --------------------------------------------------------------------------------------------------------

struct ForwardScratch {
  Pair* keys;         // [width/2][columns], pairs along the width
  Pair* values;       // [columns/2][width], pairs of neighbouring keys
  float* scores;      // [block][columns]
  float* sums;        // [block][width]
  uint16_t* weights;  // [block][columns]

  ForwardScratch(ScratchPieces& pieces, const Problem& p, int64_t columns, int64_t block)
      : keys(pieces.take<Pair>(p.width / 2 * columns)),
        values(pieces.take<Pair>(columns / 2 * p.width)),
        scores(pieces.take<float>(block * columns)),
        sums(pieces.take<float>(block * p.width)),
        weights(pieces.take<uint16_t>(block * columns)) {}
};

struct SoftmaxRow {
  float inverse_sum, lse;
};

/// weights = exp(scale · (score − largest)), rounded to bfloat16 and not yet divided by their sum; zero past the keys.
SoftmaxRow softmax_row(const float* scores, int64_t keys, int64_t columns, float scale, uint16_t* weights) {
  const __m512 power_scale = _mm512_set1_ps(scale * log2_e);
  __m512 largest = _mm512_set1_ps(-INFINITY);
  for (int64_t t = 0; t < keys; t += 16)
    largest = _mm512_mask_max_ps(largest, first_lanes(keys - t), largest, _mm512_loadu_ps(scores + t));
  const float peak = _mm512_reduce_max_ps(largest);
  const __m512 shift = _mm512_set1_ps(peak);
  __m512 total = _mm512_setzero_ps();
  for (int64_t t = 0; t < columns; t += 16) {
    const __m512 power = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(scores + t), shift), power_scale);
    const __m512 weight = _mm512_maskz_mov_ps(first_lanes(keys - t), exp2(power));
    total = _mm512_add_ps(total, weight);
    store_bf16(weights + t, weight);
  }
  const float sum = _mm512_reduce_add_ps(total);
  return {1 / sum, peak * scale + std::log(sum)};
}

template <class Products>
void forward(const Problem& p, const Inputs& inputs, const Result& result, int64_t first, int64_t last) {
  constexpr int64_t block = Products::forward_block;
  [[maybe_unused]] const typename Products::Registers registers{};
  const int64_t columns = round_up(p.keys, 32), depth = Products::depth((p.keys + 1) / 2);
  const auto [keys, values, scores, sums, weights] = scratch.lay_out<ForwardScratch>(p, columns, block);
  for (int64_t problem = first; problem < last; ++problem) {
    const int64_t b = problem / p.heads, h = problem % p.heads;
    pack_columns(inputs.key.head(b, h), inputs.key.row_stride, p.keys, p.width, keys, columns);
    pack_rows(inputs.value.head(b, h), inputs.value.row_stride, p.keys, p.width, depth, values);
    for (int64_t start = 0; start < p.queries; start += block) {
      const int64_t rows = std::min(block, p.queries - start), stride = inputs.query.row_stride;
      const Left queries{pairs(inputs.query.head(b, h) + start * stride), stride / 2, 1};
      Products::multiply({rows, columns, p.width / 2}, queries, {keys, columns}, {scores, columns, false});
      float inverse_sums[block];
      for (int64_t r = 0; r < rows; ++r) {
        const SoftmaxRow row = softmax_row(scores + r * columns, p.keys, columns, p.scale, weights + r * columns);
        inverse_sums[r] = row.inverse_sum;
        result.statistics[problem * p.queries + start + r] = row.lse;
      }
      Products::multiply({rows, p.width, depth}, {pairs(weights), columns / 2, 1}, {values, p.width},
                         {sums, p.width, false});
      uint16_t* out = result.out.head(b, h) + start * result.out.row_stride;
      for (int64_t r = 0; r < rows; ++r) {
        const __m512 inverse_sum = _mm512_set1_ps(inverse_sums[r]);
        for (int64_t d = 0; d < p.width; d += 16)
          store_bf16(out + r * result.out.row_stride + d,
                     _mm512_mul_ps(_mm512_loadu_ps(sums + r * p.width + d), inverse_sum));
      }
    }
  }
}

// --- backward -------------------------------------------------------------------------------------------------------

constexpr int64_t block = 64;  // queries of one pass of backward over the keys

struct BackwardScratch {
  // Of one block of queries, in columns: [width/2][block], pairs along the width.
  Pair *queries, *out_gradients;
  // Of the same block, in rows: [block/2][width], pairs of neighbouring queries.
  Pair *queries_by_row, *out_gradients_by_row;
  Pair* keys_by_row;                // [keys/2][width], pairs of neighbouring keys
  Pair* grad_score_pairs;           // [keys/2][block], pairs of neighbouring keys
  float *lse, *delta;               // [block]: log-sum-exp in powers of two, Σ out · out gradient
  float* grad_query;                // [block][width]
  float *grad_key, *grad_value;     // [keys][width]
  uint16_t *weights, *grad_scores;  // [keys][block]

  BackwardScratch(ScratchPieces& pieces, int64_t keys, int64_t width)
      : queries(pieces.take<Pair>(width / 2 * block)),
        out_gradients(pieces.take<Pair>(width / 2 * block)),
        queries_by_row(pieces.take<Pair>(block / 2 * width)),
        out_gradients_by_row(pieces.take<Pair>(block / 2 * width)),
        keys_by_row(pieces.take<Pair>(keys / 2 * width)),
        grad_score_pairs(pieces.take<Pair>(keys / 2 * block)),
        lse(pieces.take<float>(block)),
        delta(pieces.take<float>(block)),
        grad_query(pieces.take<float>(block * width)),
        grad_key(pieces.take<float>(keys * width)),
        grad_value(pieces.take<float>(keys * width)),
        weights(pieces.take<uint16_t>(keys * block)),
        grad_scores(pieces.take<uint16_t>(keys * block)) {}
};

/// The weights exp(score − lse) and the gradients of the scores, of two keys and 16·V queries. score(r, v) is a vector
/// of scores, weight_gradient(r, v) of gradients of the weights. Without `has_second` there is one key.
template <int V, class Score, class WeightGradient>
ALWAYS_INLINE void write_score_gradients(const BackwardScratch& s, const Problem& p, int64_t key, bool has_second,
                                         Score&& score, WeightGradient&& weight_gradient) {
  const __m512 scale = _mm512_set1_ps(p.scale), power_scale = _mm512_set1_ps(p.scale * log2_e);
  for (int v = 0; v < V; ++v) {
    const __m512 lse = _mm512_load_ps(s.lse + 16 * v), delta = _mm512_load_ps(s.delta + 16 * v);
    __m256i gradients[2];
    for (int r = 0; r < 2; ++r) {
      const __mmask16 mask = r == 0 || has_second ? 0xFFFF : 0;
      const int64_t place = (key + r) * block + 16 * v;
      // Of large scores the log-sum-exp is rounded by more than exp takes. min returns its second operand when that is
      // NaN.
      const __m512 power = _mm512_min_ps(_mm512_setzero_ps(), _mm512_fmsub_ps(score(r, v), power_scale, lse));
      const __m512 weight = _mm512_maskz_mov_ps(mask, exp2(power));
      const __m512 unscaled = _mm512_mul_ps(weight, _mm512_sub_ps(weight_gradient(r, v), delta));
      gradients[r] = to_bf16(_mm512_maskz_mul_ps(mask, unscaled, scale));
      store_bf16(s.weights + place, weight);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(s.grad_scores + place), gradients[r]);
    }
    const __m512i low = _mm512_cvtepu16_epi32(gradients[0]), high = _mm512_cvtepu16_epi32(gradients[1]);
    _mm512_store_si512(s.grad_score_pairs + key / 2 * block + 16 * v,
                       _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
  }
}

/// The same from two neighbouring keys and their values; the second of each repeats the first where the keys end with
/// it. The scores and the gradients of the weights are summed side by side in registers, and never written.
template <int V>
void score_gradients(const BackwardScratch& s, const Problem& p, int64_t key, bool has_second,
                     const Pair* const (&key_rows)[2], const Pair* const (&value_rows)[2]) {
  __m512 scores[2][V], grad_weights[2][V];
  for (int r = 0; r < 2; ++r)
    for (int v = 0; v < V; ++v) scores[r][v] = grad_weights[r][v] = _mm512_setzero_ps();
  for (int64_t k = 0; k < p.width / 2; ++k) {
    const __m512i keys[2] = {_mm512_set1_epi32(key_rows[0][k]), _mm512_set1_epi32(key_rows[1][k])};
    const __m512i values[2] = {_mm512_set1_epi32(value_rows[0][k]), _mm512_set1_epi32(value_rows[1][k])};
    for (int v = 0; v < V; ++v) {
      const __m512i query = _mm512_load_si512(s.queries + k * block + 16 * v);
      const __m512i gradient = _mm512_load_si512(s.out_gradients + k * block + 16 * v);
      for (int r = 0; r < 2; ++r) {
        scores[r][v] = _mm512_dpbf16_ps(scores[r][v], as_bf16(keys[r]), as_bf16(query));
        grad_weights[r][v] = _mm512_dpbf16_ps(grad_weights[r][v], as_bf16(values[r]), as_bf16(gradient));
      }
    }
  }
  write_score_gradients<V>(
      s, p, key, has_second, [&](int r, int v) { return scores[r][v]; },
      [&](int r, int v) { return grad_weights[r][v]; });
}

/// The same for all keys and `rows` queries; in matrix units for all queries of the block.
template <class Products>
void all_score_gradients(const BackwardScratch& s, const Problem& p, const View& keys, const View& values,
                         int64_t rows) {
  const auto row_of = [&](const View& of, int64_t t) { return pairs(of.data + t * of.row_stride); };
  if constexpr (Products::has_tiles) {
    constexpr int64_t at_once = 32;
    alignas(64) float scores[at_once * block] = {}, grad_weights[at_once * block] = {};
    for (int64_t t = 0; t < p.keys; t += at_once) {
      const Size size{std::min(at_once, p.keys - t), block, p.width / 2};
      Products::multiply(size, {row_of(keys, t), keys.row_stride / 2, 1}, {s.queries, block}, {scores, block, false});
      Products::multiply(size, {row_of(values, t), values.row_stride / 2, 1}, {s.out_gradients, block},
                         {grad_weights, block, false});
      for (int64_t i = 0; i < size.rows; i += 2) {
        const auto from = [&](const float* sums) {
          return [=](int r, int v) { return _mm512_load_ps(sums + (i + r) * block + 16 * v); };
        };
        write_score_gradients<block / 16>(s, p, t + i, i + 1 < size.rows, from(scores), from(grad_weights));
      }
    }
  } else {
    for (int64_t t = 0; t < p.keys; t += 2) {
      const bool has_second = t + 1 < p.keys;
      const int64_t next = has_second ? t + 1 : t;
      with_constant<block / 16>((rows + 15) / 16, [&]<int V>() {
        score_gradients<V>(s, p, t, has_second, {row_of(keys, t), row_of(keys, next)},
                           {row_of(values, t), row_of(values, next)});
      });
    }
  }
}

/// The dot product of two bfloat16 rows.
float dot(const uint16_t* a, const uint16_t* b, int64_t width) {
  __m512 sum = _mm512_setzero_ps();
  for (int64_t d = 0; d < width; d += 32)
    sum = _mm512_dpbf16_ps(sum, as_bf16(_mm512_loadu_si512(a + d)), as_bf16(_mm512_loadu_si512(b + d)));
  return _mm512_reduce_add_ps(sum);
}

/// Packs `rows` queries from `start` on, their gradients, log-sum-exp and delta.
void load_queries(const BackwardScratch& s, const Problem& p, const Inputs& inputs, const Result& result,
                  const View& out_gradient, int64_t problem, int64_t start, int64_t rows, int64_t depth) {
  const int64_t b = problem / p.heads, h = problem % p.heads;
  const uint16_t* query = inputs.query.head(b, h) + start * inputs.query.row_stride;
  const uint16_t* out = result.out.head(b, h) + start * result.out.row_stride;
  const uint16_t* gradient = out_gradient.head(b, h) + start * out_gradient.row_stride;
  for (int64_t r = 0; r < block; ++r) {
    // Queries past the end get the weight exp(−∞).
    s.lse[r] = r < rows ? result.statistics[problem * p.queries + start + r] * log2_e : INFINITY;
    s.delta[r] = r < rows ? dot(out + r * result.out.row_stride, gradient + r * out_gradient.row_stride, p.width) : 0;
  }
  pack_columns(query, inputs.query.row_stride, rows, p.width, s.queries, block);
  pack_columns(gradient, out_gradient.row_stride, rows, p.width, s.out_gradients, block);
  pack_rows(query, inputs.query.row_stride, rows, p.width, depth, s.queries_by_row);
  pack_rows(gradient, out_gradient.row_stride, rows, p.width, depth, s.out_gradients_by_row);
}

template <class Products>
void backward(const Problem& p, const Inputs& inputs, const Result& result, const View& out_gradient,
              const Inputs& gradients, int64_t first, int64_t last) {
  [[maybe_unused]] const typename Products::Registers registers{};
  const int64_t width = p.width, key_depth = Products::depth((p.keys + 1) / 2);
  const auto s = scratch.lay_out<BackwardScratch>(2 * key_depth, width);
  for (int64_t problem = first; problem < last; ++problem) {
    const int64_t b = problem / p.heads, h = problem % p.heads;
    const auto head = [&](const View& of) { return View{of.head(b, h), 0, of.row_stride, 0}; };
    const View keys = head(inputs.key), values = head(inputs.value);
    pack_rows(keys.data, keys.row_stride, p.keys, width, key_depth, s.keys_by_row);
    for (int64_t start = 0; start < p.queries; start += block) {
      const int64_t rows = std::min(block, p.queries - start), depth = Products::depth((rows + 1) / 2);
      load_queries(s, p, inputs, result, out_gradient, problem, start, rows, depth);
      all_score_gradients<Products>(s, p, keys, values, rows);
      const bool add = start > 0;
      const Size keys_by_width{p.keys, width, depth};
      Products::multiply(keys_by_width, {pairs(s.weights), block / 2, 1}, {s.out_gradients_by_row, width},
                         {s.grad_value, width, add});
      Products::multiply(keys_by_width, {pairs(s.grad_scores), block / 2, 1}, {s.queries_by_row, width},
                         {s.grad_key, width, add});
      Products::multiply({rows, width, (p.keys + 1) / 2}, {s.grad_score_pairs, 1, block}, {s.keys_by_row, width},
                         {s.grad_query, width, false});
      const View& query = gradients.query;
      write_rows(s.grad_query, query.head(b, h) + start * query.row_stride, query.row_stride, rows, width);
    }
    write_rows(s.grad_key, gradients.key.head(b, h), gradients.key.row_stride, p.keys, width);
    write_rows(s.grad_value, gradients.value.head(b, h), gradients.value.row_stride, p.keys, width);
  }
}

/// `Products` multiplies: its static functions and constants are those of VectorProducts.
template <class Products>
constexpr Kernel<Bf16> pair_kernel{0, 1, forward<Products>, backward<Products>};

}  // namespace

}  // namespace rfdetr::attention
