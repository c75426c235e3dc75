// Multi-scale deformable attention of one head (Zhu et al. 2021, arXiv:2010.04159 §4.1), in plain C++ that the compiler
// turns into vectors. Everything is inlined into the EVERY_CPU functions of deformable_attention.cc.
#pragma once
#include "lane_sum.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

namespace rfdetr::deformable {

/// `lanes` is 16 with AVX-512 and 8 elsewhere: a vector that is wider than the CPU's goes through memory.
template <int64_t lanes>
using Vector = std::conditional_t<lanes == 16, Float16, Float8>;

/// One scale of the value map: its size, and the first of its tokens.
struct Level {
  int64_t height, width, start;
};

struct Problem {
  int64_t batch, tokens, heads, channels, queries, points;
  std::vector<Level> levels;

  /// Samples of one query and head.
  int64_t samples() const { return static_cast<int64_t>(levels.size()) * points; }
  /// Channels in scratch memory, filled up with zeros to whole vectors of any width.
  int64_t padded() const { return (channels + 15) / 16 * 16; }
  /// Floats of scratch memory that a head needs, all zero at first.
  int64_t forward_scratch() const { return tokens * padded() + samples(); }
  int64_t backward_scratch() const { return 2 * tokens * padded() + padded() + 2 * samples(); }
};

/// Pointers to the first elements of one (batch, head). `reference_gradient` has separate rows for each head; the
/// others are strided over the heads.
template <class Value, class Projected>
struct Head {
  const Value* value;
  const float* reference;
  const Projected *offsets, *logits;
  Value* out;
  const Value* out_gradient;
  Value* value_gradient;
  float* reference_gradient;
  Projected *offset_gradient, *logit_gradient;
};

/// Copies a head's values to `map` [tokens × padded channels] in float32.
template <class Value>
ALWAYS_INLINE void load_map(const Problem& p, const Value* value, float* map) {
  const int64_t width = p.padded();
  for (int64_t s = 0; s < p.tokens; ++s)
    for (int64_t c = 0; c < p.channels; ++c)
      map[s * width + c] = static_cast<float>(value[s * p.heads * p.channels + c]);
}

/// Softmax of one query's logits.
template <class Projected>
ALWAYS_INLINE void softmax(const Projected* logits, int64_t count, float* weights) {
  float peak = static_cast<float>(logits[0]);
  for (int64_t i = 1; i < count; ++i) peak = std::max(peak, static_cast<float>(logits[i]));
  float total = 0;
  for (int64_t i = 0; i < count; ++i) total += weights[i] = std::exp(static_cast<float>(logits[i]) - peak);
  for (int64_t i = 0; i < count; ++i) weights[i] /= total;
}

/// A sample's place in the map: the four cells around it. Cells outside of the map count as zero.
struct Sample {
  float x, y;       // fractions inside the cell
  int64_t rows[4];  // of the map: upper left, upper right, lower left, lower right; −1 outside
  bool inside;      // whether any of the cells is in the map
};

template <class Projected>
ALWAYS_INLINE Sample locate(const Level& level, const float* reference, const Projected* offset, float per_point) {
  // Rounds as the composed operators do: location, grid in [−1, 1], pixel.
  const float left = reference[0] + static_cast<float>(offset[0]) * reference[2] * per_point;
  const float top = reference[1] + static_cast<float>(offset[1]) * reference[3] * per_point;
  const float x = ((left * 2 - 1 + 1) * level.width - 1) / 2, y = ((top * 2 - 1 + 1) * level.height - 1) / 2;
  Sample sample{};
  sample.inside = x > -1 && y > -1 && x < level.width && y < level.height;
  if (!sample.inside) {
    sample.x = x * 0 + y * 0;  // NaN where a coordinate is not finite
    return sample;
  }
  const float column = std::floor(x), row = std::floor(y);
  const auto c = static_cast<int64_t>(column), r = static_cast<int64_t>(row);
  sample.x = x - column;
  sample.y = y - row;
  const bool first_column = c >= 0, last_column = c + 1 < level.width;
  const bool first_row = r >= 0, last_row = r + 1 < level.height;
  const int64_t origin = level.start + r * level.width + c;
  sample.rows[0] = first_row && first_column ? origin : -1;
  sample.rows[1] = first_row && last_column ? origin + 1 : -1;
  sample.rows[2] = last_row && first_column ? origin + level.width : -1;
  sample.rows[3] = last_row && last_column ? origin + level.width + 1 : -1;
  return sample;
}

template <int64_t lanes>
ALWAYS_INLINE Vector<lanes> load(const float* map, int64_t row, int64_t width, int64_t block) {
  Vector<lanes> v = {};
  if (row >= 0) std::memcpy(&v, map + row * width + block * lanes, sizeof(v));
  return v;
}

template <int64_t lanes, class Value>
ALWAYS_INLINE void store(const Vector<lanes>& v, Value* to, int64_t count) {
  float part[lanes];
  std::memcpy(part, &v, sizeof(v));
  for (int64_t c = 0; c < count; ++c) to[c] = static_cast<Value>(part[c]);
}

template <int64_t lanes, class Value, class Projected>
ALWAYS_INLINE void forward_head(const Problem& p, const Head<Value, Projected>& head, float* scratch) {
  const int64_t width = p.padded(), samples = p.samples(), blocks = width / lanes;
  float *map = scratch, *weights = map + p.tokens * width;
  std::vector<Sample> places(samples);
  load_map(p, head.value, map);
  const float per_point = static_cast<float>(0.5 / p.points);
  for (int64_t q = 0; q < p.queries; ++q) {
    const int64_t row = q * p.heads;
    softmax(head.logits + row * samples, samples, weights);
    for (int64_t i = 0; i < samples; ++i)
      places[i] =
          locate(p.levels[i / p.points], head.reference + q * 4, head.offsets + (row * samples + i) * 2, per_point);
    for (int64_t block = 0; block < blocks; ++block) {
      Vector<lanes> total = {};
      for (int64_t i = 0; i < samples; ++i) {
        const Sample& s = places[i];
        const float w = weights[i];
        if (!s.inside) {
          total += s.x + w * 0;
          continue;
        }
        total += load<lanes>(map, s.rows[0], width, block) * (w * (1 - s.x) * (1 - s.y)) +
                 load<lanes>(map, s.rows[1], width, block) * (w * s.x * (1 - s.y)) +
                 load<lanes>(map, s.rows[2], width, block) * (w * (1 - s.x) * s.y) +
                 load<lanes>(map, s.rows[3], width, block) * (w * s.x * s.y);
      }
      store<lanes>(total, head.out + row * p.channels + block * lanes, std::min(lanes, p.channels - block * lanes));
    }
  }
}

/// Gradients of one sample: of its weight, and of its place in pixels.
struct SampleGradient {
  float weight, x, y;
};

/// Adds the gradient of the values to `gradient_map`. `gradient` [width] is that of the head's result.
template <int64_t lanes>
ALWAYS_INLINE SampleGradient sample_gradient(const Sample& s, const Level& level, float w, const float* gradient,
                                             const float* map, float* gradient_map, int64_t width) {
  const float shares[4] = {(1 - s.x) * (1 - s.y), s.x * (1 - s.y), (1 - s.x) * s.y, s.x * s.y};
  Vector<lanes> by_weight = {}, by_x = {}, by_y = {};
  for (int64_t block = 0; block < width / lanes; ++block) {
    Vector<lanes> g, cell[4];
    std::memcpy(&g, gradient + block * lanes, sizeof(g));
    for (int k = 0; k < 4; ++k) cell[k] = load<lanes>(map, s.rows[k], width, block);
    const Vector<lanes> upper = cell[0] + (cell[1] - cell[0]) * s.x, lower = cell[2] + (cell[3] - cell[2]) * s.x;
    by_weight += g * (upper + (lower - upper) * s.y);
    by_x += g * ((cell[1] - cell[0]) * (1 - s.y) + (cell[3] - cell[2]) * s.y);
    by_y += g * (lower - upper);
    const Vector<lanes> weighted = g * w;
    for (int k = 0; k < 4; ++k) {
      if (s.rows[k] < 0) continue;
      float* to = gradient_map + s.rows[k] * width + block * lanes;
      Vector<lanes> sums;
      std::memcpy(&sums, to, sizeof(sums));
      sums += weighted * shares[k];
      std::memcpy(to, &sums, sizeof(sums));
    }
  }
  return {sum_of(by_weight), sum_of(by_x) * w * level.width, sum_of(by_y) * w * level.height};
}

template <int64_t lanes, class Value, class Projected>
ALWAYS_INLINE void backward_head(const Problem& p, const Head<Value, Projected>& head, float* scratch) {
  const int64_t width = p.padded(), samples = p.samples();
  float *map = scratch, *gradient_map = map + p.tokens * width, *gradient = gradient_map + p.tokens * width;
  float *weights = gradient + width, *weight_gradients = weights + samples;
  load_map(p, head.value, map);
  std::memset(gradient_map, 0, p.tokens * width * sizeof(float));
  const float per_point = static_cast<float>(0.5 / p.points);
  for (int64_t q = 0; q < p.queries; ++q) {
    const int64_t row = q * p.heads;
    const float* reference = head.reference + q * 4;
    softmax(head.logits + row * samples, samples, weights);
    for (int64_t c = 0; c < p.channels; ++c) gradient[c] = static_cast<float>(head.out_gradient[row * p.channels + c]);
    float reference_gradient[4] = {0, 0, 0, 0};
    float mean = 0;
    for (int64_t i = 0; i < samples; ++i) {
      const Level& level = p.levels[i / p.points];
      const Projected* offset = head.offsets + (row * samples + i) * 2;
      const Sample s = locate(level, reference, offset, per_point);
      SampleGradient to{s.x, 0, 0};
      if (s.inside) to = sample_gradient<lanes>(s, level, weights[i], gradient, map, gradient_map, width);
      weight_gradients[i] = to.weight;
      mean += to.weight * weights[i];
      Projected* offset_gradient = head.offset_gradient + (row * samples + i) * 2;
      offset_gradient[0] = static_cast<Projected>(to.x * reference[2] * per_point);
      offset_gradient[1] = static_cast<Projected>(to.y * reference[3] * per_point);
      reference_gradient[0] += to.x;
      reference_gradient[1] += to.y;
      reference_gradient[2] += to.x * static_cast<float>(offset[0]) * per_point;
      reference_gradient[3] += to.y * static_cast<float>(offset[1]) * per_point;
    }
    for (int64_t i = 0; i < samples; ++i)
      head.logit_gradient[row * samples + i] = static_cast<Projected>(weights[i] * (weight_gradients[i] - mean));
    std::memcpy(head.reference_gradient + q * 4, reference_gradient, sizeof(reference_gradient));
  }
  for (int64_t s = 0; s < p.tokens; ++s)
    for (int64_t c = 0; c < p.channels; ++c)
      head.value_gradient[s * p.heads * p.channels + c] = static_cast<Value>(gradient_map[s * width + c]);
}

}  // namespace rfdetr::deformable
