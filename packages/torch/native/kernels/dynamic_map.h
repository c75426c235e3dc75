// The dynamic map of 8-bit optimizer states (Dettmers et al. 2022, arXiv:2110.02861 §2.2): 256 values between -1 and 1,
// denser towards zero, and the rounding of a number to the nearest of them.
#pragma once

#include "every_cpu.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

namespace rfdetr::optimizer {

/// The values in ascending order, as bitsandbytes' create_dynamic_map gives them. Decade i of seven has 2^i values
/// (2^(i+1) without a sign), evenly spaced. Every operation is in float32, as libtorch does it without vectors: its
/// vector kernels round some values otherwise, and a checkpoint must mean the same on every machine.
inline std::array<float, 256> dynamic_map(bool with_sign) {
  std::vector<float> values{0, 1};
  for (int decade = 0; decade < 7; ++decade) {
    const int count = 1 << (with_sign ? decade : decade + 1);
    const float step = (1.f - 0.1f) / static_cast<float>(count);
    const auto boundary = [&](int k) {
      return k < (count + 1) / 2 ? 0.1f + step * static_cast<float>(k) : 1.f - step * static_cast<float>(count - k);
    };
    const auto power = static_cast<float>(std::pow(10.0, decade - 6));
    for (int k = 0; k < count; ++k) {
      const float value = power * ((boundary(k) + boundary(k + 1)) / 2);
      values.push_back(value);
      if (with_sign) values.push_back(-value);
    }
  }
  std::array<float, 256> sorted;
  std::sort(values.begin(), values.end());
  std::copy(values.begin(), values.end(), sorted.begin());
  return sorted;
}

/// The smallest number that rounds to each value but the first. A number half-way between two values, to the rounding
/// of float32, goes to the upper one, as in torchao's quantize_8bit_with_qmap.
inline std::array<float, 255> rounding_bounds(const std::array<float, 256>& map) {
  std::array<float, 255> bounds;
  for (int i = 0; i < 255; ++i) {
    const float low = map[i], gap = (map[i + 1] - low) * 0.5f;
    const auto goes_up = [&](float x) { return x - low >= gap; };
    float bound = low + gap;
    while (!goes_up(bound)) bound = std::nextafter(bound, 2.f);
    while (goes_up(std::nextafter(bound, -2.f))) bound = std::nextafter(bound, -2.f);
    bounds[i] = bound;
  }
  return bounds;
}

/// Rounds numbers in [-1, 1] by one look-up each. The high bits of a float32 select a bucket so narrow that one bound
/// at most lies in it; the entry holds the code before that bound and the low bits at which it lies. Without a sign,
/// only zero becomes zero: AdamW divides by the root of a second moment, and a first moment remains where the second is
/// lost.
template <bool with_sign>
class Rounder {
  static constexpr int kept_bits = with_sign ? 6 : 7;  // of the mantissa: the values near 1 are 1/71 and 1/142 apart
  static constexpr int low_bits = 23 - kept_bits;
  static constexpr int32_t low_mask = (1 << low_bits) - 1;
  static constexpr int32_t binades = 23;  // 2^-23 is below the bounds next to zero
  static constexpr int32_t first_bucket = (127 - binades) << kept_bits, buckets = (binades << kept_bits) + 1;

  /// `code << 24 | position`; those of negative numbers follow the others.
  std::array<int32_t, (with_sign ? 2 : 1) * buckets> entries;

 public:
  explicit Rounder(const std::array<float, 255>& bounds) {
    const auto code = [&](float x) {
      return static_cast<int32_t>(std::upper_bound(bounds.begin(), bounds.end(), x) - bounds.begin());
    };
    for (int32_t sign = 0; sign < (with_sign ? 2 : 1); ++sign)
      for (int32_t i = 0; i < buckets; ++i) {
        const int32_t begin = (first_bucket + i) << low_bits;
        const auto at = [&](int32_t low) { return std::bit_cast<float>((begin + low) | (sign << 31)); };
        int32_t position = 0;  // the first low bits with another code than the bucket's begin, found by bisection
        for (int32_t step = 1 << (low_bits - 1); step > 0; step >>= 1)
          if (code(at(position + step - 1)) == code(at(0))) position += step;
        if (code(at(position)) == code(at(0))) ++position;
        entries[sign * buckets + i] = code(at(0)) << 24 | position;
      }
  }

  /// Writes the codes of `count` numbers. Three loops, since a compiler makes vectors of each.
  template <int64_t count>
  ALWAYS_INLINE void operator()(const float* __restrict numbers, uint8_t* __restrict codes) const {
    int32_t found[count];
    for (int64_t i = 0; i < count; ++i) {
      const auto bits = std::bit_cast<int32_t>(numbers[i]);
      const int32_t bucket = ((bits & 0x7fffffff) >> low_bits) - first_bucket;
      found[i] = (bucket < 0 ? 0 : bucket) + (with_sign && bits < 0 ? buckets : 0);
    }
    for (int64_t i = 0; i < count; ++i) found[i] = entries[found[i]];
    for (int64_t i = 0; i < count; ++i) {
      const auto bits = std::bit_cast<int32_t>(numbers[i]);
      const int32_t step = with_sign && bits < 0 ? -1 : 1;
      const int32_t beyond = (bits & low_mask) >= (found[i] & 0xffffff) ? step : 0;
      const int32_t code = (found[i] >> 24) + beyond;
      codes[i] = static_cast<uint8_t>(!with_sign && bits > 0 && code == 0 ? 1 : code);
    }
  }
};

}  // namespace rfdetr::optimizer
