// compile: -O3 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512bf16 -mfma -fno-math-errno
// The attention kernel for AVX512-BF16: products of bfloat16 pairs summed in float32 (vdpbf16ps), softmax in float32.
//
// The sequences of a detection transformer are short (65 to 580 tokens), so a block of query rows sees all its keys at
// once, without an online softmax. One thread computes one (batch, head) pair in one order: the thread count changes
// nothing.
#include "attention.h"

#ifdef __x86_64__
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

int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// --- forward --------------------------------------------------------------------------------------------------------

/// Queries of one pass of forward over the keys: few enough that their scores stay in L1.
constexpr int64_t forward_block = 24;

struct ForwardScratch {
  Pair* keys;         // [width/2][columns], pairs along the width
  Pair* values;       // [columns/2][width], pairs of neighbouring keys
  float* scores;      // [block][columns]
  float* sums;        // [block][width]
  uint16_t* weights;  // [block][columns]

  ForwardScratch(ScratchPieces& pieces, const Problem& p, int64_t columns)
      : keys(pieces.take<Pair>(p.width / 2 * columns)),
        values(pieces.take<Pair>(columns / 2 * p.width)),
        scores(pieces.take<float>(forward_block * columns)),
        sums(pieces.take<float>(forward_block * p.width)),
        weights(pieces.take<uint16_t>(forward_block * columns)) {}
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

void forward(const Problem& p, const Inputs& inputs, const Result& result, int64_t first, int64_t last) {
  const int64_t columns = round_up(p.keys, 32);
  const auto [keys, values, scores, sums, weights] = scratch.lay_out<ForwardScratch>(p, columns);
  for (int64_t problem = first; problem < last; ++problem) {
    const int64_t b = problem / p.heads, h = problem % p.heads;
    pack_columns(inputs.key.head(b, h), inputs.key.row_stride, p.keys, p.width, keys, columns);
    pack_rows(inputs.value.head(b, h), inputs.value.row_stride, p.keys, p.width, values);
    for (int64_t start = 0; start < p.queries; start += forward_block) {
      const int64_t rows = std::min(forward_block, p.queries - start), stride = inputs.query.row_stride;
      const Left queries{pairs(inputs.query.head(b, h) + start * stride), stride / 2, 1};
      multiply({rows, columns, p.width / 2}, queries, {keys, columns}, {scores, columns, false});
      float inverse_sums[forward_block];
      for (int64_t r = 0; r < rows; ++r) {
        const SoftmaxRow row = softmax_row(scores + r * columns, p.keys, columns, p.scale, weights + r * columns);
        inverse_sums[r] = row.inverse_sum;
        result.statistics[problem * p.queries + start + r] = row.lse;
      }
      multiply({rows, p.width, (p.keys + 1) / 2}, {pairs(weights), columns / 2, 1}, {values, p.width},
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

/// Two neighbouring keys with their values. The second pair repeats the first where the keys end with it.
struct KeyPair {
  const Pair *keys[2], *values[2];
  int64_t index;
  bool has_second;
};

/// The weights exp(score − lse) and the gradients of the scores, for two keys and 16·V queries. The scores and the
/// gradients of the weights are summed side by side in registers, and never written.
template <int V>
void score_gradients(const BackwardScratch& s, const Problem& p, const KeyPair& pair) {
  __m512 scores[2][V], grad_weights[2][V];
  for (int r = 0; r < 2; ++r)
    for (int v = 0; v < V; ++v) scores[r][v] = grad_weights[r][v] = _mm512_setzero_ps();
  for (int64_t k = 0; k < p.width / 2; ++k) {
    const __m512i keys[2] = {_mm512_set1_epi32(pair.keys[0][k]), _mm512_set1_epi32(pair.keys[1][k])};
    const __m512i values[2] = {_mm512_set1_epi32(pair.values[0][k]), _mm512_set1_epi32(pair.values[1][k])};
    for (int v = 0; v < V; ++v) {
      const __m512i query = _mm512_load_si512(s.queries + k * block + 16 * v);
      const __m512i gradient = _mm512_load_si512(s.out_gradients + k * block + 16 * v);
      for (int r = 0; r < 2; ++r) {
        scores[r][v] = _mm512_dpbf16_ps(scores[r][v], as_bf16(keys[r]), as_bf16(query));
        grad_weights[r][v] = _mm512_dpbf16_ps(grad_weights[r][v], as_bf16(values[r]), as_bf16(gradient));
      }
    }
  }
  const __m512 scale = _mm512_set1_ps(p.scale), power_scale = _mm512_set1_ps(p.scale * log2_e);
  for (int v = 0; v < V; ++v) {
    const __m512 lse = _mm512_load_ps(s.lse + 16 * v), delta = _mm512_load_ps(s.delta + 16 * v);
    __m256i gradients[2];
    for (int r = 0; r < 2; ++r) {
      const __mmask16 mask = r == 0 || pair.has_second ? 0xFFFF : 0;
      const int64_t place = (pair.index + r) * block + 16 * v;
      const __m512 weight = _mm512_maskz_mov_ps(mask, exp2(_mm512_fmsub_ps(scores[r][v], power_scale, lse)));
      const __m512 unscaled = _mm512_mul_ps(weight, _mm512_sub_ps(grad_weights[r][v], delta));
      gradients[r] = to_bf16(_mm512_maskz_mul_ps(mask, unscaled, scale));
      store_bf16(s.weights + place, weight);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(s.grad_scores + place), gradients[r]);
    }
    const __m512i low = _mm512_cvtepu16_epi32(gradients[0]), high = _mm512_cvtepu16_epi32(gradients[1]);
    _mm512_store_si512(s.grad_score_pairs + pair.index / 2 * block + 16 * v,
                       _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
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
                  const View& out_gradient, int64_t problem, int64_t start, int64_t rows) {
  const int64_t b = problem / p.heads, h = problem % p.heads;
  const uint16_t* query = inputs.query.head(b, h) + start * inputs.query.row_stride;
  const uint16_t* out = result.out.head(b, h) + start * result.out.row_stride;
  const uint16_t* gradient = out_gradient.head(b, h) + start * out_gradient.row_stride;
  for (int64_t r = 0; r < round_up(rows, 16); ++r) {
    // Queries past the end get the weight exp(−∞).
    s.lse[r] = r < rows ? result.statistics[problem * p.queries + start + r] * log2_e : INFINITY;
    s.delta[r] = r < rows ? dot(out + r * result.out.row_stride, gradient + r * out_gradient.row_stride, p.width) : 0;
  }
  pack_columns(query, inputs.query.row_stride, rows, p.width, s.queries, block);
  pack_columns(gradient, out_gradient.row_stride, rows, p.width, s.out_gradients, block);
  pack_rows(query, inputs.query.row_stride, rows, p.width, s.queries_by_row);
  pack_rows(gradient, out_gradient.row_stride, rows, p.width, s.out_gradients_by_row);
}

void backward(const Problem& p, const Inputs& inputs, const Result& result, const View& out_gradient,
              const Inputs& gradients, int64_t first, int64_t last) {
  const int64_t width = p.width, even_keys = round_up(p.keys, 2);
  const auto s = scratch.lay_out<BackwardScratch>(even_keys, width);
  for (int64_t problem = first; problem < last; ++problem) {
    const int64_t b = problem / p.heads, h = problem % p.heads;
    const uint16_t *keys = inputs.key.head(b, h), *values = inputs.value.head(b, h);
    pack_rows(keys, inputs.key.row_stride, p.keys, width, s.keys_by_row);
    for (int64_t start = 0; start < p.queries; start += block) {
      const int64_t rows = std::min(block, p.queries - start);
      load_queries(s, p, inputs, result, out_gradient, problem, start, rows);
      for (int64_t t = 0; t < p.keys; t += 2) {
        const bool has_second = t + 1 < p.keys;
        const int64_t next = has_second ? t + 1 : t;
        const KeyPair pair{
            {pairs(keys + t * inputs.key.row_stride), pairs(keys + next * inputs.key.row_stride)},
            {pairs(values + t * inputs.value.row_stride), pairs(values + next * inputs.value.row_stride)},
            t,
            has_second};
        gemm::with_constant<block / 16>((rows + 15) / 16, [&]<int V>() { score_gradients<V>(s, p, pair); });
      }
      const bool add = start > 0;
      const Size keys_by_width{p.keys, width, (rows + 1) / 2};
      multiply(keys_by_width, {pairs(s.weights), block / 2, 1}, {s.out_gradients_by_row, width},
               {s.grad_value, width, add});
      multiply(keys_by_width, {pairs(s.grad_scores), block / 2, 1}, {s.queries_by_row, width},
               {s.grad_key, width, add});
      multiply({rows, width, even_keys / 2}, {s.grad_score_pairs, 1, block}, {s.keys_by_row, width},
               {s.grad_query, width, false});
      const View& query = gradients.query;
      write_rows(s.grad_query, query.head(b, h) + start * query.row_stride, query.row_stride, rows, width);
    }
    write_rows(s.grad_key, gradients.key.head(b, h), gradients.key.row_stride, p.keys, width);
    write_rows(s.grad_value, gradients.value.head(b, h), gradients.value.row_stride, p.keys, width);
  }
}

constexpr Kernel<Bf16> kernel{0, 1, forward, backward};

}  // namespace

const Kernel<Bf16>& bf16_pair_kernel() { return kernel; }

}  // namespace rfdetr::attention
#else
const rfdetr::attention::Kernel<rfdetr::attention::Bf16>& rfdetr::attention::bf16_pair_kernel() {
  static constexpr Kernel<Bf16> none{};
  return none;
}
#endif
