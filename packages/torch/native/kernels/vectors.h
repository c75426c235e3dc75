// Vectors of float32 in the vector extensions of GCC and Clang. The same source is compiled for AVX2, for AVX-512 and
// for every other CPU (SSE2, NEON): the first line of a file says which instructions it may use, and all names are in a
// namespace of that instruction set, so that the linker never mixes them up. Values are float32, or bfloat16 in memory.
#pragma once
#include "every_cpu.h"

#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
#define INSTRUCTION_SET avx512
#elif defined(__AVX2__)
#define INSTRUCTION_SET avx2
#else
#define INSTRUCTION_SET baseline
#endif

namespace rfdetr::INSTRUCTION_SET {

#if defined(__AVX512F__)
constexpr int lanes = 16;
#elif defined(__AVX2__)
constexpr int lanes = 8;
#else
constexpr int lanes = 4;
#endif

/// A bfloat16 value in memory.
using Bf16 = uint16_t;
using Vector = float __attribute__((vector_size(lanes * sizeof(float))));
using Bits = int32_t __attribute__((vector_size(lanes * sizeof(int32_t))));
using UnsignedBits = uint32_t __attribute__((vector_size(lanes * sizeof(uint32_t))));
using Halves = uint16_t __attribute__((vector_size(lanes * sizeof(uint16_t))));

ALWAYS_INLINE Vector broadcast(float value) { return value - Vector{}; }
ALWAYS_INLINE Vector zeros() { return Vector{}; }
ALWAYS_INLINE UnsignedBits bits_of(Vector v) { return reinterpret_cast<UnsignedBits>(v); }
ALWAYS_INLINE Vector from_bits(UnsignedBits v) { return reinterpret_cast<Vector>(v); }
/// a where `mask` is set, b elsewhere.
ALWAYS_INLINE Vector select(Bits mask, Vector a, Vector b) { return mask ? a : b; }
/// The larger value; b where one of the two is NaN.
ALWAYS_INLINE Vector maximum(Vector a, Vector b) { return a > b ? a : b; }
/// The smaller value; b where one of the two is NaN.
ALWAYS_INLINE Vector minimum(Vector a, Vector b) { return a < b ? a : b; }
ALWAYS_INLINE Vector absolute(Vector v) { return from_bits(bits_of(v) & 0x7FFFFFFF); }

// --- memory ---------------------------------------------------------------------------------------------------------

ALWAYS_INLINE float to_f32(float value) { return value; }
ALWAYS_INLINE float to_f32(Bf16 value) {
  const uint32_t bits = static_cast<uint32_t>(value) << 16;
  float result;
  std::memcpy(&result, &bits, sizeof(result));
  return result;
}

/// The bits of bfloat16 values, rounded to nearest, ties to even, in the high half of each lane. NaN stays NaN.
ALWAYS_INLINE UnsignedBits rounded_bits(Vector v) {
  const UnsignedBits bits = bits_of(v), rounded = bits + 0x7FFF + (bits >> 16 & 1);
  return v == v ? rounded : (bits | 0x400000);
}
/// float32 values rounded to bfloat16.
ALWAYS_INLINE Vector round_to_bf16(Vector v) { return from_bits(rounded_bits(v) & 0xFFFF0000); }

ALWAYS_INLINE Vector load(const float* from) {
  Vector v;
  std::memcpy(&v, from, sizeof(v));
  return v;
}
ALWAYS_INLINE Vector load(const Bf16* from) {
  Halves halves;
  std::memcpy(&halves, from, sizeof(halves));
  return from_bits(__builtin_convertvector(halves, UnsignedBits) << 16);
}
ALWAYS_INLINE void store(float* to, Vector v) { std::memcpy(to, &v, sizeof(v)); }
ALWAYS_INLINE void store(Bf16* to, Vector v) {
  const Halves halves = __builtin_convertvector(rounded_bits(v) >> 16, Halves);
  std::memcpy(to, &halves, sizeof(halves));
}

/// The first `count` values, then zeros. All of them where `count` is that of the lanes or more, none below one.
template <class T>
ALWAYS_INLINE Vector load_first(const T* from, int64_t count) {
  if (count >= lanes) return load(from);
  T values[lanes] = {};
  for (int64_t i = 0; i < count; ++i) values[i] = from[i];
  return load(values);
}
/// Stores the first `count` lanes.
template <class T>
ALWAYS_INLINE void store_first(T* to, int64_t count, Vector v) {
  if (count >= lanes) return store(to, v);
  T values[lanes];
  store(values, v);
  for (int64_t i = 0; i < count; ++i) to[i] = values[i];
}

// --- functions ------------------------------------------------------------------------------------------------------

constexpr float log2_e = 1.44269504088896341f;

/// 2^x to one part in 10⁷, for x up to 127. −∞ and all that is below −126 give 0, NaN stays NaN. Only a short chain of
/// operations waits for each other, since a loop over vectors is bound by the latency.
ALWAYS_INLINE Vector exp2(Vector x) {
  // Adding 1.5·2²³ rounds to a whole number, which is then in the low bits; 127 more make it an exponent.
  const Vector shifted = x + 12583039.0f, rest = x - (shifted - 12583039.0f), square = rest * rest;
  const Vector low = rest * 0.240226477f + 0.693147182f, middle = rest * 0.00961843692f + 0.0555033237f;
  const Vector high = rest * 0.00015353362f + 0.0013398875f;
  const Vector power = ((high * square + middle) * square + low) * rest + 1.0f;
  return select(x < -126.0f, zeros(), power * from_bits(bits_of(shifted) << 23));
}

struct Normal {
  Vector cdf;    // Φ(u)
  Vector power;  // e^(−u²/2)
};

/// The normal distribution. Its tail is a polynomial times the power, in the form of Abramowitz and Stegun (1964,
/// 7.1.26) with eight terms, fitted to a relative error of 1.5e-7.
ALWAYS_INLINE Normal normal_cdf(Vector u) {
  // Beyond 40 the tail is zero; an infinite distance would give NaN. minimum() returns its second operand if one is
  // NaN.
  const Vector distance = minimum(broadcast(40), absolute(u)), power = exp2(distance * distance * (-0.5f * log2_e));
  const Vector t = 1.0f / (distance * 0.3f + 1.0f);
  Vector p = broadcast(0.035674905906f);
  p = p * t - 0.157203602096f;
  p = p * t + 0.206354344952f;
  p = p * t - 0.053684360413f;
  p = p * t + 0.128561974727f;
  p = p * t + 0.099913396077f;
  p = p * t + 0.120753969931f;
  p = p * t + 0.119629298015f;
  const Vector tail = p * t * power;
  return {select(u >= 0.0f, 1.0f - tail, tail), power};
}

/// u·Φ(u) (Hendrycks and Gimpel 2016, arXiv:1606.08415).
ALWAYS_INLINE Vector gelu(Vector u) { return u * normal_cdf(u).cdf; }

/// Its derivative, Φ(u) + u·φ(u).
ALWAYS_INLINE Vector gelu_derivative(Vector u) {
  const Normal normal = normal_cdf(u);
  return u * normal.power * 0.3989422804f + normal.cdf;
}

}  // namespace rfdetr::INSTRUCTION_SET
