// Vectors of sixteen float32 or bfloat16 values. Only for files that are compiled for CPUs with AVX512-BF16.
#pragma once
#include <immintrin.h>

#include <cstdint>

namespace rfdetr::vectors {

inline __m512bh as_bf16(__m512i v) { return reinterpret_cast<__m512bh>(v); }
inline __m512i as_integers(__m512bh v) { return reinterpret_cast<__m512i>(v); }

/// The first `count` of sixteen lanes: none below one, all from sixteen on.
inline __mmask16 first_lanes(int64_t count) {
  return static_cast<__mmask16>(count >= 16 ? 0xFFFF : count <= 0 ? 0 : (1u << count) - 1);
}

/// Loads and stores of the lanes in `mask`. Whole vectors take a branch of their own, because masked loads and stores
/// cost forty cycles on some processors.
inline __m512 load(const float* from, __mmask16 mask) {
  return mask == 0xFFFF ? _mm512_loadu_ps(from) : _mm512_maskz_loadu_ps(mask, from);
}
inline __m256i load(const uint16_t* from, __mmask16 mask) {
  return mask == 0xFFFF ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))
                        : _mm256_maskz_loadu_epi16(mask, from);
}
inline void store(float* to, __mmask16 mask, __m512 value) {
  if (mask == 0xFFFF)
    _mm512_storeu_ps(to, value);
  else
    _mm512_mask_storeu_ps(to, mask, value);
}
inline void store(uint16_t* to, __mmask16 mask, __m256i value) {
  if (mask == 0xFFFF)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), value);
  else
    _mm256_mask_storeu_epi16(to, mask, value);
}

inline __m512 to_f32(__m256i bf16) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bf16), 16)); }
inline __m256i to_bf16(__m512 value) { return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(value)); }
inline void store_bf16(uint16_t* to, __m512 value) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), to_bf16(value));
}

/// Index for _mm512_permutex2var_epi16 that pairs the values of two rows of 32: columns 0–15, or 16–31 where `high`.
inline const __m512i& interleave_index(bool high) {
  alignas(64) static const uint16_t index[2][32] = {{0, 32, 1, 33, 2,  34, 3,  35, 4,  36, 5,  37, 6,  38, 7,  39,
                                                     8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47},
                                                    {16, 48, 17, 49, 18, 50, 19, 51, 20, 52, 21, 53, 22, 54, 23, 55,
                                                     24, 56, 25, 57, 26, 58, 27, 59, 28, 60, 29, 61, 30, 62, 31, 63}};
  return *reinterpret_cast<const __m512i*>(index[high]);
}

/// Transposes sixteen rows of sixteen pairs in place.
inline void transpose(__m512i (&rows)[16]) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    rows[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    rows[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    rows[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    rows[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(rows[i], rows[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(rows[i], rows[i + 4], 0xDD);
    t[i + 8] = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], 0xDD);
  }
  for (int i = 0; i < 4; ++i) {
    rows[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    rows[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xDD);
    rows[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    rows[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xDD);
  }
}

inline constexpr float log2_e = 1.44269504088896341f;

/// 2^x with a relative error of 2⁻¹⁸, ten bits more than bfloat16 has. −∞ and all that is below −110 give 0, NaN stays
/// NaN: a result near the smallest normal value, and products of it, would take Intel's processors 150 ns a vector.
inline __m512 exp2(__m512 x) {
  const __mmask16 counts = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-110.0f), _CMP_NLT_UQ);
  const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 rest = _mm512_sub_ps(x, whole);
  __m512 p = _mm512_set1_ps(0.009666368515f);
  p = _mm512_fmadd_ps(p, rest, _mm512_set1_ps(0.05592197584f));
  p = _mm512_fmadd_ps(p, rest, _mm512_set1_ps(0.2402234904f));
  p = _mm512_fmadd_ps(p, rest, _mm512_set1_ps(0.6931210452f));
  p = _mm512_fmadd_ps(p, rest, _mm512_set1_ps(1.0f));
  return _mm512_maskz_scalef_ps(counts, p, whole);
}

struct Normal {
  __m512 cdf;    // Φ(u)
  __m512 power;  // e^(−u²/2)
};

/// The normal distribution. Its tail is a polynomial times the power (Abramowitz and Stegun 1964, 7.1.26): the error is
/// 1.5e-7, and relative to the tail where that is small.
inline Normal normal_cdf(__m512 u) {
  // Beyond 40 the tail is zero; an infinite distance would give NaN. min returns its second operand when one is NaN.
  const __m512 one = _mm512_set1_ps(1), distance = _mm512_min_ps(_mm512_set1_ps(40), _mm512_abs_ps(u));
  const __m512 power = exp2(_mm512_mul_ps(_mm512_mul_ps(u, u), _mm512_set1_ps(-0.5f * log2_e)));
  const __m512 divisor = _mm512_fmadd_ps(distance, _mm512_set1_ps(0.3275911f * 0.70710678f), one);
  __m512 t = _mm512_rcp14_ps(divisor);
  t = _mm512_mul_ps(t, _mm512_fnmadd_ps(divisor, t, _mm512_set1_ps(2)));
  __m512 p = _mm512_set1_ps(0.5f * 1.061405429f);
  p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0.5f * -1.453152027f));
  p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0.5f * 1.421413741f));
  p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0.5f * -0.284496736f));
  p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0.5f * 0.254829592f));
  const __m512 tail = _mm512_mul_ps(_mm512_mul_ps(p, t), power);
  return {_mm512_mask_sub_ps(tail, _mm512_cmp_ps_mask(u, _mm512_setzero_ps(), _CMP_GE_OQ), one, tail), power};
}

/// u·Φ(u) (Hendrycks and Gimpel 2016, arXiv:1606.08415).
inline __m512 gelu(__m512 u) { return _mm512_mul_ps(u, normal_cdf(u).cdf); }

/// Its derivative, Φ(u) + u·φ(u).
inline __m512 gelu_derivative(__m512 u) {
  const Normal normal = normal_cdf(u);
  return _mm512_fmadd_ps(_mm512_mul_ps(u, normal.power), _mm512_set1_ps(0.3989422804f), normal.cdf);
}

}  // namespace rfdetr::vectors
