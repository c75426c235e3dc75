// What the tests of the kernels share: numbers that are the same on every machine, exact allocations, comparisons.
#pragma once
#include "kernels/isa.h"

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace kernels {

constexpr float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();

inline float from_bf16(uint16_t value) {
  const uint32_t bits = static_cast<uint32_t>(value) << 16;
  float result;
  std::memcpy(&result, &bits, sizeof(result));
  return result;
}
/// To nearest, ties to even. Denormal values become zero, as vcvtneps2bf16 makes them.
inline uint16_t to_bf16(float value) {
  if (std::fpclassify(value) == FP_SUBNORMAL) value = std::copysign(0.0f, value);
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  if (std::isnan(value)) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

/// Whether this machine can run kernels of this name.
inline bool runs(const std::string& name) {
#ifdef EMULATED
  return true;
#else
  using rfdetr::isa, rfdetr::Isa;
  return isa() == Isa::amx || (name != "amx_bf16" && isa() == Isa::avx512) || name == "avx2" || name == "baseline";
#endif
}

/// Numbers of a small linear generator.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2654435761u + 12345) {}
  /// Uniform in −1 … 1.
  float uniform() { return static_cast<float>(next() % 2000001) / 1e6f - 1; }
  /// A whole number −4 … 4: sums of products of a few thousand of them are exact in float32.
  float whole() { return static_cast<float>(next() % 9) - 4; }

 private:
  uint64_t next() { return (state_ = state_ * 6364136223846793005u + 1442695040888963407u) >> 33; }
  uint64_t state_;
};

/// Memory aligned to a cache line that ends with its last element, so that a sanitizer sees what lies outside of it.
template <class T>
class Array {
 public:
  explicit Array(int64_t count, T value = T{}) : count_(count), data_(allocate(count)) {
    for (int64_t i = 0; i < count; ++i) data_[i] = value;
  }
  Array(Array&& other) : count_(other.count_), data_(std::exchange(other.data_, nullptr)) {}
  Array& operator=(Array&&) = delete;
  ~Array() { std::free(data_); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](int64_t i) { return data_[i]; }
  const T& operator[](int64_t i) const { return data_[i]; }
  int64_t count() const { return count_; }

 private:
  static T* allocate(int64_t count) {
    void* memory = nullptr;
    if (posix_memalign(&memory, 64, std::max<int64_t>(1, count) * sizeof(T)) != 0) std::abort();
    return static_cast<T*>(memory);
  }
  int64_t count_;
  T* data_;
};

/// A test: throws std::string where something is wrong.
using Test = std::function<void()>;
inline std::vector<std::pair<std::string, Test>>& tests() {
  static std::vector<std::pair<std::string, Test>> all;
  return all;
}
struct Add {
  Add(const char* name, Test test) { tests().emplace_back(name, test); }
};

template <class... Parts>
std::string text(const Parts&... parts) {
  const auto show = [](const auto& part) {
    if constexpr (std::is_arithmetic_v<std::decay_t<decltype(part)>>)
      return std::to_string(part);
    else
      return std::string(part);
  };
  return (show(parts) + ...);
}

/// NaN equals NaN, and infinities each other.
inline bool close(double got, double wanted, double bound) {
  if (std::isnan(wanted) || std::isnan(got)) return std::isnan(wanted) == std::isnan(got);
  return got == wanted || std::fabs(got - wanted) <= bound;
}
inline void expect_close(double got, double wanted, double bound, const std::string& where) {
  if (!close(got, wanted, bound)) throw text(where, ": expected ", wanted, " within ", bound, " but received ", got);
}
inline void expect_bits(uint32_t got, uint32_t wanted, const std::string& where) {
  if (got != wanted) throw text(where, ": expected the bits ", wanted, " but received ", got);
}

}  // namespace kernels
