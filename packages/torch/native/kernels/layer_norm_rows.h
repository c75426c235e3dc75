// Layer normalisation of rows, forward and backward, in plain C++ that the compiler turns into vectors. Everything is
// inlined into the EVERY_CPU functions of rounded_layer_norm.cc.
#pragma once
#include "lane_sum.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

namespace rfdetr::layer_norm {

using Word8 = uint32_t __attribute__((vector_size(32)));
using Word16 = uint32_t __attribute__((vector_size(64)));
using Half8 = uint16_t __attribute__((vector_size(16)));
using Half16 = uint16_t __attribute__((vector_size(32)));

/// Rows that one thread takes at a time. The gradients of weight and bias are summed within such blocks first, in one
/// order whatever the thread count.
constexpr int64_t block = 64;
/// |bias / weight| up to which the values come from the result: they then err by at most 9 · 2⁻⁹ of a deviation.
constexpr float largest_ratio = 8;
constexpr float smallest_weight = 1e-30F;

ALWAYS_INLINE float widened(uint16_t value) {
  const uint32_t bits = static_cast<uint32_t>(value) << 16;
  float result;
  std::memcpy(&result, &bits, sizeof(result));
  return result;
}

/// The length of a row in scratch memory, filled up with zeros to whole vectors of any width.
inline int64_t padded(int64_t size) { return (size + 15) / 16 * 16; }

/// Weight, bias and 1 / weight of each group, padded, and the channels whose values the result does not tell, of any
/// group.
struct Affine {
  int64_t groups, size;
  std::vector<float> weight, bias, inverse;
  std::vector<int64_t> kept;

  /// `weights` and `biases` are [groups × size].
  Affine(const float* weights, const float* biases, int64_t groups, int64_t size) : groups(groups), size(size) {
    const int64_t width = padded(size);
    for (auto* list : {&weight, &bias, &inverse}) list->resize(groups * width);
    for (int64_t channel = 0; channel < size; ++channel) {
      bool invertible = true;
      for (int64_t g = 0; g < groups; ++g) {
        const float w = weights[g * size + channel], b = biases[g * size + channel];
        weight[g * width + channel] = w;
        bias[g * width + channel] = b;
        inverse[g * width + channel] = 1 / w;
        invertible &= std::fabs(w) >= smallest_weight && std::fabs(b) <= largest_ratio * std::fabs(w);
      }
      if (!invertible) kept.push_back(channel);
    }
  }
};

/// One call, forward or backward. Null pointers stand for what it does not have.
struct Problem {
  const Affine& affine;
  int64_t rows, size;
  float eps;
  const void* input;  // of the dtype of the call
  float* out;
  uint16_t *low, *kept;
  float *means, *deviations;  // reciprocal
  const float* gradient;
  const uint16_t* low_gradient;
  void* input_gradient;
  float* sums;  // for each block of rows, of the gradients of weight and bias, padded
  bool from_input;

  int64_t rows_of_group() const { return rows / affine.groups; }
  int64_t blocks_of_group() const { return (rows_of_group() + block - 1) / block; }
};

/// Rows of one group.
struct Rows {
  int64_t first, last;
  const float *weight, *bias, *inverse;
  float* sums;  // of this block

  Rows(const Problem& p, int64_t number) {
    const int64_t width = padded(p.size), group = number / p.blocks_of_group(), begin = group * p.rows_of_group();
    first = begin + number % p.blocks_of_group() * block;
    last = std::min(begin + p.rows_of_group(), first + block);
    weight = p.affine.weight.data() + group * width;
    bias = p.affine.bias.data() + group * width;
    inverse = p.affine.inverse.data() + group * width;
    sums = p.sums ? p.sums + number * 2 * width : nullptr;
  }
};

/// The work on rows in vectors of `lanes` values: 16 with AVX-512 and 8 elsewhere, because a vector that is wider than
/// the CPU's goes through memory.
template <int lanes>
struct Vectors {
  using Lanes = std::conditional_t<lanes == 16, Float16, Float8>;
  using Words = std::conditional_t<lanes == 16, Word16, Word8>;
  using Halves = std::conditional_t<lanes == 16, Half16, Half8>;

  static int64_t whole_vectors(int64_t size) { return (size + lanes - 1) / lanes * lanes; }

  static ALWAYS_INLINE Lanes load(const float* from) {
    Lanes v;
    std::memcpy(&v, from, sizeof(v));
    return v;
  }
  static ALWAYS_INLINE Lanes load(const uint16_t* from) {
    Halves halves;
    std::memcpy(&halves, from, sizeof(halves));
    return reinterpret_cast<Lanes>(__builtin_convertvector(halves, Words) << 16);
  }
  static ALWAYS_INLINE void store(float* to, const Lanes& v) { std::memcpy(to, &v, sizeof(v)); }
  /// Rounds to nearest, ties to even. NaN stays NaN.
  static ALWAYS_INLINE void store(uint16_t* to, const Lanes& v) {
    const Words bits = reinterpret_cast<Words>(v), rounded = bits + 0x7FFF + (bits >> 16 & 1);
    const Words words = v == v ? rounded : (bits | 0x400000);
    const Halves halves = __builtin_convertvector(words >> 16, Halves);
    std::memcpy(to, &halves, sizeof(halves));
  }
  template <class T>
  static ALWAYS_INLINE void load_row(const T* from, int64_t size, float* row) {
    int64_t i = 0;
    for (; i + lanes <= size; i += lanes) store(row + i, load(from + i));
    if (i == size) return;
    T last[lanes] = {};
    for (int64_t j = i; j < size; ++j) last[j - i] = from[j];
    store(row + i, load(last));
  }
  template <class T>
  static ALWAYS_INLINE void store_row(const float* row, int64_t size, T* to) {
    int64_t i = 0;
    for (; i + lanes <= size; i += lanes) store(to + i, load(row + i));
    if (i == size) return;
    T last[lanes];
    store(last, load(row + i));
    for (int64_t j = i; j < size; ++j) to[j] = last[j - i];
  }

  template <class T>
  static ALWAYS_INLINE void forward_rows(const Problem& p, const Rows& rows, float* scratch) {
    const int64_t width = whole_vectors(p.size), whole = p.size / lanes * lanes;
    const auto* input = static_cast<const T*>(p.input);
    const auto kept = static_cast<int64_t>(p.affine.kept.size());
    for (int64_t r = rows.first; r < rows.last; ++r) {
      load_row(input + r * p.size, p.size, scratch);
      Lanes total = {};
      for (int64_t i = 0; i < width; i += lanes) total += load(scratch + i);
      const float mean = sum_of(total) / static_cast<float>(p.size);
      Lanes squares = {};
      for (int64_t i = 0; i < whole; i += lanes) {
        const Lanes distance = load(scratch + i) - mean;
        squares += distance * distance;
      }
      float square = sum_of(squares);
      for (int64_t i = whole; i < p.size; ++i) square += (scratch[i] - mean) * (scratch[i] - mean);
      const float deviation = 1 / std::sqrt(square / static_cast<float>(p.size) + p.eps);
      p.deviations[r] = deviation;
      if (p.means) p.means[r] = mean;
      if (p.kept)
        for (int64_t k = 0; k < kept; ++k) {
          const Lanes value = Lanes{} + (scratch[p.affine.kept[k]] - mean) * deviation;
          uint16_t rounded[lanes];
          store(rounded, value);
          p.kept[r * kept + k] = rounded[0];
        }
      for (int64_t i = 0; i < width; i += lanes)
        store(scratch + i, (load(scratch + i) - mean) * deviation * load(rows.weight + i) + load(rows.bias + i));
      store_row(scratch, p.size, p.out + r * p.size);
      store_row(scratch, p.size, p.low + r * p.size);
    }
  }

  /// dx = (g·w − mean(g·w) − x̂ · mean(g·w·x̂)) / deviation.
  template <class T>
  static ALWAYS_INLINE void backward_rows(const Problem& p, const Rows& rows, float* scratch) {
    const int64_t width = whole_vectors(p.size), stride = padded(p.size);
    const auto kept = static_cast<int64_t>(p.affine.kept.size());
    float *normal = scratch, *gradient = scratch + stride, *other = scratch + 2 * stride;
    float *weight_sums = rows.sums, *bias_sums = weight_sums + stride;
    for (int64_t r = rows.first; r < rows.last; ++r) {
      if (p.from_input) {
        load_row(static_cast<const T*>(p.input) + r * p.size, p.size, normal);
        for (int64_t i = 0; i < width; i += lanes) store(normal + i, (load(normal + i) - p.means[r]) * p.deviations[r]);
      } else {
        load_row(p.low + r * p.size, p.size, normal);
        for (int64_t i = 0; i < width; i += lanes)
          store(normal + i, (load(normal + i) - load(rows.bias + i)) * load(rows.inverse + i));
        for (int64_t k = 0; k < kept; ++k) normal[p.affine.kept[k]] = widened(p.kept[r * kept + k]);
      }
      if (p.gradient) load_row(p.gradient + r * p.size, p.size, gradient);
      if (p.low_gradient) {
        load_row(p.low_gradient + r * p.size, p.size, p.gradient ? other : gradient);
        if (p.gradient)
          for (int64_t i = 0; i < width; i += lanes) store(gradient + i, load(gradient + i) + load(other + i));
      }
      Lanes plain = {}, projected = {};
      for (int64_t i = 0; i < width; i += lanes) {
        const Lanes g = load(gradient + i), x = load(normal + i), scaled = g * load(rows.weight + i);
        store(weight_sums + i, load(weight_sums + i) + g * x);
        store(bias_sums + i, load(bias_sums + i) + g);
        store(gradient + i, scaled);
        plain += scaled;
        projected += scaled * x;
      }
      if (!p.input_gradient) continue;
      const float mean = sum_of(plain) / static_cast<float>(p.size);
      const float slope = sum_of(projected) / static_cast<float>(p.size);
      for (int64_t i = 0; i < width; i += lanes)
        store(gradient + i, (load(gradient + i) - mean - load(normal + i) * slope) * p.deviations[r]);
      store_row(gradient, p.size, static_cast<T*>(p.input_gradient) + r * p.size);
    }
  }
};

}  // namespace rfdetr::layer_norm
