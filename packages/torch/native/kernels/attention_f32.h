// The attention kernel in float32 vectors, for elements of float32 or bfloat16 in memory.
//
// The sequences of a detection transformer are short (65 to 600 tokens), so a block of queries sees all its keys at
// once, without an online softmax. Keys lie along rows and queries along vectors: the softmax needs no sums across
// lanes, and rows of keys and values are read where they lie. One thread computes one unit (forward) or (batch, head)
// pair (backward) in one order: the thread count changes nothing.
#pragma once
#include "attention.h"
#include "attention_f32_products.h"
#include "scratch.h"

#include <algorithm>
#include <cmath>

namespace rfdetr::INSTRUCTION_SET {

using attention::Inputs;
using attention::Problem;
using attention::Result;
using attention::View;

/// Queries of one pass over the keys.
constexpr int64_t query_block = lanes == 16 ? 64 : 48;
/// Calls body(first, last) for equal parts of the keys, so small that their weights stay in the cache between two uses.
template <class Body>
ALWAYS_INLINE void for_parts(int64_t keys, Body&& body) {
  const int64_t parts = (keys + 191) / 192;
  for (int64_t part = 0; part < parts; ++part) body(keys * part / parts, keys * (part + 1) / parts);
}

inline Scratch& attention_scratch() {
  thread_local Scratch scratch;
  return scratch;
}

/// The statistics of a query: the largest power of two, and the inverse of the sum of its weights before division.
constexpr int64_t statistics_count = 2;

// --- forward --------------------------------------------------------------------------------------------------------

struct ForwardScratch {
  float* keys;            // [keys][width]
  Panels values;          // [keys × width]
  float* queries;         // [width][block]
  float* weights;         // [keys][block]: scores, then weights before division by their sum
  float *peaks, *totals;  // [block]: the largest score in powers of two, the sum of the weights
  float* sums;            // [block][width]

  ForwardScratch(ScratchPieces& pieces, const Problem& p)
      : keys(pieces.take<float>(p.keys * round_up(p.width, lanes))),
        values{pieces.take<float>(p.keys * round_up(p.width, lanes)), p.keys},
        queries(pieces.take<float>(p.width * query_block)),
        weights(pieces.take<float>(p.keys * query_block)),
        peaks(pieces.take<float>(query_block)),
        totals(pieces.take<float>(query_block)),
        sums(pieces.take<float>(query_block * round_up(p.width, lanes))) {}
};

/// The scale of scores in powers of two, without its sign, which the packed queries carry.
inline float power_scale(const Problem& p) { return std::fabs(p.scale) * log2_e; }
inline float sign_of_scale(const Problem& p) { return p.scale < 0 ? -1.0f : 1.0f; }

/// Whether scores must be scaled, and rounded, before the largest of their query is subtracted. Scaling and subtraction
/// are fused otherwise, and the largest score differs from its own rounded power by 2⁻²⁴ of it: here, by more than ¼.
inline bool are_huge(const float* peaks, int64_t count) {
  return std::any_of(peaks, peaks + count, [](float peak) { return std::fabs(peak) >= 1 << 22; });
}
/// The rounded scores of all keys and `columns` queries in powers of two.
inline void scale_scores(float* scores, const Problem& p, int64_t columns) {
  for (int64_t t = 0; t < p.keys; ++t, scores += query_block)
    for (int64_t n = 0; n < columns; n += lanes) store(scores + n, load(scores + n) * power_scale(p));
}

/// weights[key][query] = key · query, and peaks = the largest of each query in powers of two.
inline void write_scores(const ForwardScratch& s, const Problem& p, const Rows& keys, int64_t columns) {
  for_panels(columns, [&]<int V>(int64_t n) {
    Vector peaks[V];
    for (int v = 0; v < V; ++v) peaks[v] = broadcast(-INFINITY);
    for_tiles<V>(p.keys, {keys.data, keys.stride, 1}, {s.queries + n, query_block}, p.width,
                 [&]<int R>(int64_t t, Vector(&tile)[R][V]) {
                   for (int r = 0; r < R; ++r)
                     for (int v = 0; v < V; ++v) {
                       peaks[v] = maximum(tile[r][v], peaks[v]);
                       store(s.weights + (t + r) * query_block + n + lanes * v, tile[r][v]);
                     }
                 });
    for (int v = 0; v < V; ++v) store(s.peaks + n + lanes * v, peaks[v] * power_scale(p));
  });
}

/// The score at `place` becomes a weight.
ALWAYS_INLINE Vector weigh(float* place, float scale, Vector peak) {
  const Vector weight = exp2(load(place) * scale - peak);
  store(place, weight);
  return weight;
}

/// Scores of keys first…last become weights; their sums are added to the totals. Eight keys are summed as a tree: the
/// roundings of near equals, one after the other, would all go one way.
inline void write_weights(const ForwardScratch& s, float scale, int64_t columns, int64_t first, int64_t last) {
  for (int64_t n = 0; n < columns; n += lanes) {
    const Vector peak = load(s.peaks + n);
    Vector total = first == 0 ? zeros() : load(s.totals + n);
    float* place = s.weights + first * query_block + n;
    int64_t t = first;
    for (; t + 8 <= last; t += 8) {
      Vector sums[8];
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i, place += query_block) sums[i] = weigh(place, scale, peak);
#pragma GCC unroll 4
      for (int half = 4; half > 0; half /= 2)
#pragma GCC unroll 4
        for (int i = 0; i < half; ++i) sums[i] += sums[i + half];
      total += sums[0];
    }
    for (; t < last; ++t, place += query_block) total += weigh(place, scale, peak);
    store(s.totals + n, total);
  }
}

/// The results of `rows` queries whose packed columns are in the scratch.
template <class T>
void attend(const ForwardScratch& s, const Problem& p, const Rows& keys, int64_t rows, T* out, int64_t out_stride,
            float* statistics) {
  const int64_t columns = round_up(rows, lanes), padded = round_up(p.width, lanes);
  write_scores(s, p, keys, columns);
  const bool scaled_first = are_huge(s.peaks, rows);
  if (scaled_first) scale_scores(s.weights, p, columns);
  for_parts(p.keys, [&](int64_t first, int64_t last) {
    write_weights(s, scaled_first ? 1 : power_scale(p), columns, first, last);
    multiply(rows, padded, {s.weights + first * query_block, 1, query_block}, s.values, first, last,
             {s.sums, padded, first > 0});
  });
  for (int64_t r = 0; r < rows; ++r) {
    const float inverse = 1 / s.totals[r];
    statistics[r * statistics_count] = s.peaks[r];
    statistics[r * statistics_count + 1] = inverse;
    write_row(s.sums + r * padded, p.width, inverse, out + r * out_stride);
  }
}

template <class T>
void forward(const Problem& p, const Inputs<T>& inputs, const Result<T>& result, int64_t first, int64_t last) {
  const int64_t blocks = (p.queries + query_block - 1) / query_block;
  const auto s = attention_scratch().lay_out<ForwardScratch>(p);
  Rows keys{};
  for (int64_t unit = first; unit < last; ++unit) {
    const int64_t problem = unit / blocks, b = problem / p.heads, h = problem % p.heads;
    const int64_t start = unit % blocks * query_block, rows = std::min(query_block, p.queries - start);
    if (unit == first || start == 0) {
      keys = as_f32(inputs.key.head(b, h), inputs.key.row_stride, p.keys, p.width, s.keys);
      pack_panels(inputs.value.head(b, h), inputs.value.row_stride, p.keys, p.width, s.values);
    }
    pack_columns(inputs.query.head(b, h) + start * inputs.query.row_stride, inputs.query.row_stride, rows, p.width,
                 sign_of_scale(p), s.queries, query_block);
    attend(s, p, keys, rows, result.out.head(b, h) + start * result.out.row_stride, result.out.row_stride,
           result.statistics + (problem * p.queries + start) * statistics_count);
  }
}

// --- backward -------------------------------------------------------------------------------------------------------

struct BackwardScratch {
  float *keys, *values;                       // [keys][width]
  Panels key_panels;                          // [keys × width]
  Panels query_panels, gradient_panels;       // [block × width]: queries and gradients of `out` of one block
  float *queries, *gradients, *outs;          // [width][block]: the same, and the results
  float *weights, *grad_scores;               // [keys][block]
  float *peaks, *inverses, *deltas;           // [block]: the statistics, and Σ out · its gradient
  float *grad_query, *grad_key, *grad_value;  // [block][width], [keys][width] twice

  BackwardScratch(ScratchPieces& pieces, const Problem& p) {
    const int64_t padded = round_up(p.width, lanes);
    for (float** const piece : {&keys, &values}) *piece = pieces.take<float>(p.keys * padded);
    key_panels = {pieces.take<float>(p.keys * padded), p.keys};
    for (Panels* const piece : {&query_panels, &gradient_panels})
      *piece = {pieces.take<float>(query_block * padded), query_block};
    for (float** const piece : {&queries, &gradients, &outs}) *piece = pieces.take<float>(p.width * query_block);
    for (float** const piece : {&weights, &grad_scores}) *piece = pieces.take<float>(p.keys * query_block);
    for (float** const piece : {&peaks, &inverses, &deltas}) *piece = pieces.take<float>(query_block);
    grad_query = pieces.take<float>(query_block * padded);
    for (float** const piece : {&grad_key, &grad_value}) *piece = pieces.take<float>(p.keys * padded);
  }
};

/// The weights, and the gradients of the scores times the scale, for all keys and lanes·V queries.
template <int V>
ALWAYS_INLINE void score_gradients(const BackwardScratch& s, const Problem& p, const Rows& keys, const Rows& values,
                                   int64_t n, bool scaled_first) {
  const float scale = power_scale(p);
  Vector peaks[V], inverses[V], deltas[V];
  for (int v = 0; v < V; ++v) {
    peaks[v] = load(s.peaks + n + lanes * v);
    inverses[v] = load(s.inverses + n + lanes * v);
    deltas[v] = load(s.deltas + n + lanes * v);
  }
  const auto weigh = [&]<int R>(int64_t t, Vector(&tile)[R][V]) {
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < V; ++v) {
        float* const place = s.weights + (t + r) * query_block + n + lanes * v;
        store(place, scaled_first ? tile[r][v] : exp2(tile[r][v] * scale - peaks[v]) * inverses[v]);
      }
  };
  const auto differentiate = [&]<int R>(int64_t t, Vector(&tile)[R][V]) {
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < V; ++v) {
        const int64_t place = (t + r) * query_block + n + lanes * v;
        store(s.grad_scores + place, load(s.weights + place) * (tile[r][v] - deltas[v]) * p.scale);
      }
  };
  for_tiles<V>(p.keys, {keys.data, keys.stride, 1}, {s.queries + n, query_block}, p.width, weigh);
  if (scaled_first) {
    scale_scores(s.weights + n, p, lanes * V);
    for (int64_t t = 0; t < p.keys; ++t)
      for (int v = 0; v < V; ++v) {
        float* const place = s.weights + t * query_block + n + lanes * v;
        store(place, exp2(load(place) - peaks[v]) * inverses[v]);
      }
  }
  for_tiles<V>(p.keys, {values.data, values.stride, 1}, {s.gradients + n, query_block}, p.width, differentiate);
}

/// deltas = Σ out · its gradient, in the order of the products of values and gradients: where one key has all the
/// weight, the gradient of its score is zero and not the rounding of a difference.
inline void write_deltas(const BackwardScratch& s, const Problem& p, int64_t columns) {
  for (int64_t n = 0; n < columns; n += lanes) {
    Vector sum = zeros();
    for (int64_t d = 0; d < p.width; ++d)
      sum += load(s.outs + d * query_block + n) * load(s.gradients + d * query_block + n);
    store(s.deltas + n, sum);
  }
}

/// One head of the inputs of backward, from the first query of a block on.
template <class T>
struct Block {
  const T *query, *out, *gradient;
  const float* statistics;
  int64_t rows;
};

/// Writes the gradient of the block's queries, and sets or adds to those of all keys and values.
template <class T>
void differentiate(const BackwardScratch& s, const Problem& p, const Rows& keys, const Rows& values,
                   const Block<T>& block, const int64_t (&strides)[3], bool add) {
  const int64_t rows = block.rows, columns = round_up(rows, lanes), padded = round_up(p.width, lanes);
  for (int64_t r = 0; r < columns; ++r) {
    // Queries past the end get weights of zero.
    s.peaks[r] = r < rows ? block.statistics[r * statistics_count] : INFINITY;
    s.inverses[r] = r < rows ? block.statistics[r * statistics_count + 1] : 0;
  }
  pack_columns(block.query, strides[0], rows, p.width, sign_of_scale(p), s.queries, query_block);
  pack_columns(block.gradient, strides[2], rows, p.width, 1, s.gradients, query_block);
  pack_columns(block.out, strides[1], rows, p.width, 1, s.outs, query_block);
  write_deltas(s, p, columns);
  pack_panels(block.query, strides[0], rows, p.width, s.query_panels);
  pack_panels(block.gradient, strides[2], rows, p.width, s.gradient_panels);
  const bool scaled_first = are_huge(s.peaks, rows);
  for_panels(columns, [&]<int V>(int64_t n) { score_gradients<V>(s, p, keys, values, n, scaled_first); });
  multiply(p.keys, padded, {s.weights, query_block, 1}, s.gradient_panels, 0, rows, {s.grad_value, padded, add});
  multiply(p.keys, padded, {s.grad_scores, query_block, 1}, s.query_panels, 0, rows, {s.grad_key, padded, add});
  for_parts(p.keys, [&](int64_t first, int64_t last) {
    multiply(rows, padded, {s.grad_scores + first * query_block, 1, query_block}, s.key_panels, first, last,
             {s.grad_query, padded, first > 0});
  });
}

template <class T>
void backward(const Problem& p, const Inputs<T>& inputs, const Result<T>& result, const View<T>& out_gradient,
              const Inputs<T>& gradients, int64_t first, int64_t last) {
  const auto s = attention_scratch().lay_out<BackwardScratch>(p);
  const int64_t padded = round_up(p.width, lanes);
  const int64_t strides[3] = {inputs.query.row_stride, result.out.row_stride, out_gradient.row_stride};
  const auto write = [&](const float* from, const View<T>& to, int64_t b, int64_t h, int64_t start, int64_t rows) {
    for (int64_t r = 0; r < rows; ++r)
      write_row(from + r * padded, p.width, 1, to.head(b, h) + (start + r) * to.row_stride);
  };
  for (int64_t problem = first; problem < last; ++problem) {
    const int64_t b = problem / p.heads, h = problem % p.heads;
    const Rows keys = copy_rows(inputs.key.head(b, h), inputs.key.row_stride, p.keys, p.width, s.keys);
    const Rows values = copy_rows(inputs.value.head(b, h), inputs.value.row_stride, p.keys, p.width, s.values);
    pack_panels(inputs.key.head(b, h), inputs.key.row_stride, p.keys, p.width, s.key_panels);
    for (int64_t start = 0; start < p.queries; start += query_block) {
      const Block<T> block{inputs.query.head(b, h) + start * strides[0], result.out.head(b, h) + start * strides[1],
                           out_gradient.head(b, h) + start * strides[2],
                           result.statistics + (problem * p.queries + start) * statistics_count,
                           std::min(query_block, p.queries - start)};
      differentiate(s, p, keys, values, block, strides, start > 0);
      write(s.grad_query, gradients.query, b, h, start, block.rows);
    }
    write(s.grad_key, gradients.key, b, h, 0, p.keys);
    write(s.grad_value, gradients.value, b, h, 0, p.keys);
  }
}

inline constexpr attention::VectorKernels attention_kernels{
    {query_block, statistics_count, forward<float>, backward<float>},
    {query_block, statistics_count, forward<Bf16>, backward<Bf16>}};

}  // namespace rfdetr::INSTRUCTION_SET
