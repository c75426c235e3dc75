// The AVX-512 intrinsics that the kernels use, in plain C++, so that their tests run on every CPU. Stands before the
// compiler's own header on the include path. Compile with -ffp-contract=off: a product and a sum must round twice.
//
// What it cannot show: reciprocals are the exact ones cut to fourteen bits, where a CPU has some of that precision.
// Aligned loads and stores check their address; masked ones touch the chosen lanes only, as a sanitizer wants to see.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

using __m512 = float __attribute__((vector_size(64)));
using __m512i = long long __attribute__((vector_size(64)));
using __m512bh = short __attribute__((vector_size(64)));
using __m256i = long long __attribute__((vector_size(32)));
using __m256bh = short __attribute__((vector_size(32)));
using __mmask16 = uint16_t;
using __mmask32 = uint32_t;

#define _MM_FROUND_TO_NEAREST_INT 0
#define _MM_FROUND_NO_EXC 8
#define _CMP_GE_OQ 0x1d
#define _CMP_NLT_UQ 0x15
#define _mm_prefetch(address, hint) static_cast<void>(address)

namespace emulated {

template <class To, class From>
To bits(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}

template <class Element, int lanes>
struct Lanes {
  Element at[lanes];
  Element& operator[](int i) { return at[i]; }
  Element operator[](int i) const { return at[i]; }
};
using Floats = Lanes<float, 16>;
using Words = Lanes<uint32_t, 16>;
using Halves = Lanes<uint16_t, 32>;

/// A vector whose lane i is of(i).
template <class Vector, class Element, int lanes, class Of>
Vector make(Of&& of) {
  Lanes<Element, lanes> result;
  for (int i = 0; i < lanes; ++i) result[i] = of(i);
  return bits<Vector>(result);
}
template <class Of>
__m512 floats(Of&& of) {
  return make<__m512, float, 16>(of);
}

template <class Vector>
const Vector* aligned(const Vector* address) {
  if (reinterpret_cast<uintptr_t>(address) % sizeof(Vector) == 0) return address;
  std::fprintf(stderr, "an aligned load or store at %p\n", static_cast<const void*>(address));
  std::abort();
}
template <class Vector>
Vector load(const void* from) {
  Vector v;
  std::memcpy(&v, from, sizeof(v));
  return v;
}
template <class Vector>
Vector load_aligned(const void* from) {
  return load<Vector>(aligned(static_cast<const Vector*>(from)));
}
template <class Vector>
void store(void* to, const Vector& v) {
  std::memcpy(to, &v, sizeof(v));
}
template <class Vector>
void store_aligned(void* to, const Vector& v) {
  store(const_cast<Vector*>(aligned(static_cast<const Vector*>(to))), v);
}

/// The lanes in `mask`, read from memory; zeros elsewhere.
template <class Vector, class Element, int lanes>
Vector load_lanes(uint32_t mask, const void* from) {
  return make<Vector, Element, lanes>([&](int i) {
    Element value{};
    if (mask >> i & 1) std::memcpy(&value, static_cast<const char*>(from) + i * sizeof(Element), sizeof(Element));
    return value;
  });
}
template <class Element, int lanes, class Vector>
void store_lanes(void* to, uint32_t mask, const Vector& v) {
  const auto values = bits<Lanes<Element, lanes>>(v);
  for (int i = 0; i < lanes; ++i)
    if (mask >> i & 1) std::memcpy(static_cast<char*>(to) + i * sizeof(Element), &values.at[i], sizeof(Element));
}

/// Zero of the same sign for a denormal value.
inline float flushed(float value) {
  return std::fpclassify(value) == FP_SUBNORMAL ? std::copysign(0.0f, value) : value;
}
inline float from_bf16(uint16_t value) { return bits<float>(static_cast<uint32_t>(value) << 16); }
/// vcvtneps2bf16: to nearest, ties to even; denormal values become zero, a NaN becomes a quiet one.
inline uint16_t to_bf16(float value) {
  const uint32_t from = bits<uint32_t>(flushed(value));
  if (std::isnan(value)) return static_cast<uint16_t>(from >> 16 | 0x40);
  return static_cast<uint16_t>((from + 0x7FFF + (from >> 16 & 1)) >> 16);
}
/// One step of vdpbf16ps: a fused multiplication and addition whose denormal operands and results are zero, to nearest.
inline float multiply_add(uint16_t a, uint16_t b, float sum) {
  return flushed(std::fma(flushed(from_bf16(a)), flushed(from_bf16(b)), flushed(sum)));
}

template <class Element, class Pick>
__m512i unpack(const __m512i& a, const __m512i& b, Pick&& source) {
  constexpr int lanes = 64 / sizeof(Element), in_128 = 16 / sizeof(Element);
  const auto x = bits<Lanes<Element, lanes>>(a), y = bits<Lanes<Element, lanes>>(b);
  return make<__m512i, Element, lanes>([&](int i) {
    const int place = i / in_128 * in_128 + source(i % in_128 / 2);
    return i % 2 ? y[place] : x[place];
  });
}

}  // namespace emulated

// --- memory ---------------------------------------------------------------------------------------------------------

inline __m512 _mm512_load_ps(const void* from) { return emulated::load_aligned<__m512>(from); }
inline __m512 _mm512_loadu_ps(const void* from) { return emulated::load<__m512>(from); }
inline __m512i _mm512_load_si512(const void* from) { return emulated::load_aligned<__m512i>(from); }
inline __m512i _mm512_loadu_si512(const void* from) { return emulated::load<__m512i>(from); }
inline __m256i _mm256_load_si256(const __m256i* from) { return emulated::load_aligned<__m256i>(from); }
inline __m256i _mm256_loadu_si256(const __m256i* from) { return emulated::load<__m256i>(from); }
inline void _mm512_store_ps(void* to, __m512 v) { emulated::store_aligned(to, v); }
inline void _mm512_storeu_ps(void* to, __m512 v) { emulated::store(to, v); }
inline void _mm512_store_si512(void* to, __m512i v) { emulated::store_aligned(to, v); }
inline void _mm512_storeu_si512(void* to, __m512i v) { emulated::store(to, v); }
inline void _mm256_store_si256(__m256i* to, __m256i v) { emulated::store_aligned(to, v); }
inline void _mm256_storeu_si256(__m256i* to, __m256i v) { emulated::store(to, v); }
inline __m512 _mm512_maskz_loadu_ps(__mmask16 mask, const void* from) {
  return emulated::load_lanes<__m512, float, 16>(mask, from);
}
inline __m512i _mm512_maskz_loadu_epi16(__mmask32 mask, const void* from) {
  return emulated::load_lanes<__m512i, uint16_t, 32>(mask, from);
}
inline __m256i _mm256_maskz_loadu_epi16(__mmask16 mask, const void* from) {
  return emulated::load_lanes<__m256i, uint16_t, 16>(mask, from);
}
inline void _mm512_mask_storeu_ps(void* to, __mmask16 mask, __m512 v) { emulated::store_lanes<float, 16>(to, mask, v); }
inline void _mm256_mask_storeu_epi16(void* to, __mmask16 mask, __m256i v) {
  emulated::store_lanes<uint16_t, 16>(to, mask, v);
}

// --- float32 --------------------------------------------------------------------------------------------------------

inline __m512 _mm512_setzero_ps() { return __m512{}; }
inline __m512 _mm512_set1_ps(float value) {
  return emulated::floats([&](int) { return value; });
}
inline __m512 _mm512_add_ps(__m512 a, __m512 b) { return a + b; }
inline __m512 _mm512_sub_ps(__m512 a, __m512 b) { return a - b; }
inline __m512 _mm512_mul_ps(__m512 a, __m512 b) { return a * b; }
inline __m512 _mm512_fmadd_ps(__m512 a, __m512 b, __m512 c) {
  return emulated::floats([&](int i) { return std::fma(a[i], b[i], c[i]); });
}
inline __m512 _mm512_fmsub_ps(__m512 a, __m512 b, __m512 c) { return _mm512_fmadd_ps(a, b, -c); }
inline __m512 _mm512_fnmadd_ps(__m512 a, __m512 b, __m512 c) { return _mm512_fmadd_ps(-a, b, c); }
// The second operand where one of the two is NaN.
inline __m512 _mm512_max_ps(__m512 a, __m512 b) { return a > b ? a : b; }
inline __m512 _mm512_min_ps(__m512 a, __m512 b) { return a < b ? a : b; }
inline __m512 _mm512_abs_ps(__m512 a) {
  return emulated::floats([&](int i) { return std::fabs(a[i]); });
}
inline __m512 _mm512_roundscale_ps(__m512 a, int) {
  return emulated::floats([&](int i) { return std::nearbyint(a[i]); });
}
inline __m512 _mm512_maskz_scalef_ps(__mmask16 mask, __m512 a, __m512 b) {
  return emulated::floats([&](int i) {
    if (!(mask >> i & 1)) return 0.0f;
    if (std::isnan(a[i]) || std::isnan(b[i])) return a[i] + b[i];
    return std::ldexp(a[i], static_cast<int>(std::fmax(-400, std::fmin(400, std::floor(b[i])))));
  });
}
inline __m512 _mm512_rcp14_ps(__m512 a) {
  return emulated::floats(
      [&](int i) { return emulated::bits<float>(emulated::bits<uint32_t>(1 / a[i]) & ~((1u << (23 - 14)) - 1)); });
}
inline float _mm512_reduce_add_ps(__m512 v) {
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) v[i] += v[i + half];
  return v[0];
}
inline float _mm512_reduce_max_ps(__m512 v) {
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) v[i] = v[i] > v[i + half] ? v[i] : v[i + half];
  return v[0];
}

// --- masks ----------------------------------------------------------------------------------------------------------

inline __m512 _mm512_mask_mov_ps(__m512 otherwise, __mmask16 mask, __m512 a) {
  return emulated::floats([&](int i) { return mask >> i & 1 ? a[i] : otherwise[i]; });
}
inline __m512 _mm512_maskz_mov_ps(__mmask16 mask, __m512 a) { return _mm512_mask_mov_ps(__m512{}, mask, a); }
inline __m512 _mm512_mask_max_ps(__m512 otherwise, __mmask16 mask, __m512 a, __m512 b) {
  return _mm512_mask_mov_ps(otherwise, mask, _mm512_max_ps(a, b));
}
inline __m512 _mm512_mask_sub_ps(__m512 otherwise, __mmask16 mask, __m512 a, __m512 b) {
  return _mm512_mask_mov_ps(otherwise, mask, a - b);
}
inline __m512 _mm512_maskz_mul_ps(__mmask16 mask, __m512 a, __m512 b) { return _mm512_maskz_mov_ps(mask, a * b); }
inline __mmask16 _mm512_cmp_ps_mask(__m512 a, __m512 b, int how) {
  if (how != _CMP_GE_OQ && how != _CMP_NLT_UQ) std::abort();
  __mmask16 mask = 0;
  for (int i = 0; i < 16; ++i) mask |= static_cast<__mmask16>((how == _CMP_GE_OQ ? a[i] >= b[i] : !(a[i] < b[i])) << i);
  return mask;
}
inline __mmask16 _mm256_cmpgt_epi16_mask(__m256i a, __m256i b) {
  const auto x = emulated::bits<emulated::Lanes<int16_t, 16>>(a), y = emulated::bits<emulated::Lanes<int16_t, 16>>(b);
  __mmask16 mask = 0;
  for (int i = 0; i < 16; ++i) mask |= static_cast<__mmask16>((x[i] > y[i]) << i);
  return mask;
}
inline __m256i _mm256_maskz_mov_epi16(__mmask16 mask, __m256i a) {
  const auto x = emulated::bits<emulated::Lanes<uint16_t, 16>>(a);
  return emulated::make<__m256i, uint16_t, 16>([&](int i) { return mask >> i & 1 ? x[i] : 0; });
}

// --- integers -------------------------------------------------------------------------------------------------------

inline __m512i _mm512_setzero_si512() { return __m512i{}; }
inline __m256i _mm256_setzero_si256() { return __m256i{}; }
inline __m512i _mm512_set1_epi32(int value) {
  return emulated::make<__m512i, int, 16>([&](int) { return value; });
}
inline __m512 _mm512_castsi512_ps(__m512i v) { return emulated::bits<__m512>(v); }
inline __m256i _mm512_castsi512_si256(__m512i v) { return emulated::load<__m256i>(&v); }
inline __m256i _mm512_extracti64x4_epi64(__m512i v, int high) {
  return emulated::load<__m256i>(reinterpret_cast<const char*>(&v) + 32 * high);
}
inline __m512i _mm512_or_si512(__m512i a, __m512i b) { return a | b; }
inline __m512i _mm512_slli_epi32(__m512i v, int count) {
  const auto words = emulated::bits<emulated::Words>(v);
  return emulated::make<__m512i, uint32_t, 16>([&](int i) { return words[i] << count; });
}
inline __m512i _mm512_cvtepu16_epi32(__m256i v) {
  const auto halves = emulated::bits<emulated::Lanes<uint16_t, 16>>(v);
  return emulated::make<__m512i, uint32_t, 16>([&](int i) { return halves[i]; });
}
inline __m512i _mm512_permutex2var_epi16(__m512i a, __m512i index, __m512i b) {
  using emulated::Halves;
  const auto x = emulated::bits<Halves>(a), y = emulated::bits<Halves>(b), from = emulated::bits<Halves>(index);
  return emulated::make<__m512i, uint16_t, 32>([&](int i) { return (from[i] & 32 ? y : x)[from[i] & 31]; });
}
inline __m512i _mm512_unpacklo_epi32(__m512i a, __m512i b) {
  return emulated::unpack<uint32_t>(a, b, [](int i) { return i; });
}
inline __m512i _mm512_unpackhi_epi32(__m512i a, __m512i b) {
  return emulated::unpack<uint32_t>(a, b, [](int i) { return i + 2; });
}
inline __m512i _mm512_unpacklo_epi64(__m512i a, __m512i b) {
  return emulated::unpack<uint64_t>(a, b, [](int i) { return i; });
}
inline __m512i _mm512_unpackhi_epi64(__m512i a, __m512i b) {
  return emulated::unpack<uint64_t>(a, b, [](int i) { return i + 1; });
}
inline __m512i _mm512_shuffle_i32x4(__m512i a, __m512i b, int picks) {
  const auto x = emulated::bits<emulated::Words>(a), y = emulated::bits<emulated::Words>(b);
  return emulated::make<__m512i, uint32_t, 16>(
      [&](int i) { return (i < 8 ? x : y)[4 * (picks >> (i / 4 * 2) & 3) + i % 4]; });
}

// --- bfloat16 -------------------------------------------------------------------------------------------------------

inline __m256bh _mm512_cvtneps_pbh(__m512 v) {
  return emulated::make<__m256bh, uint16_t, 16>([&](int i) { return emulated::to_bf16(v[i]); });
}
inline __m512bh _mm512_cvtne2ps_pbh(__m512 high, __m512 low) {
  return emulated::make<__m512bh, uint16_t, 32>(
      [&](int i) { return emulated::to_bf16(i < 16 ? low[i] : high[i - 16]); });
}
/// Adds the product of the second values of each pair first, then that of the first ones.
inline __m512 _mm512_dpbf16_ps(__m512 sums, __m512bh a, __m512bh b) {
  const auto x = emulated::bits<emulated::Halves>(a), y = emulated::bits<emulated::Halves>(b);
  return emulated::floats([&](int i) {
    const float sum = emulated::multiply_add(x[2 * i + 1], y[2 * i + 1], sums[i]);
    return emulated::multiply_add(x[2 * i], y[2 * i], sum);
  });
}

// --- matrix units ---------------------------------------------------------------------------------------------------

namespace emulated {

/// The tile registers, with the shapes of their configuration. What is beyond a shape is zero.
struct TileState {
  uint8_t palette = 0, rows[8] = {};
  uint16_t row_bytes[8] = {};
  uint8_t bytes[8][16][64] = {};

  /// Ends the program where a tile is not set up.
  uint8_t (&of(int tile))[16][64] {
    if (palette == 1 && rows[tile] > 0 && row_bytes[tile] > 0) return bytes[tile];
    std::fprintf(stderr, "tile %d is used without a configuration\n", tile);
    std::abort();
  }
};
inline thread_local TileState tiles;

}  // namespace emulated

inline void _tile_loadconfig(const void* from) {
  const auto* const bytes = static_cast<const uint8_t*>(from);
  emulated::tiles = {};
  emulated::tiles.palette = bytes[0];
  std::memcpy(emulated::tiles.row_bytes, bytes + 16, sizeof(emulated::tiles.row_bytes));
  std::memcpy(emulated::tiles.rows, bytes + 48, sizeof(emulated::tiles.rows));
  for (int i = 0; i < 64; ++i) {
    const bool reserved = (i >= 2 && i < 16) || (i >= 32 && i < 48) || i >= 56;
    const bool row_bytes = i >= 16 && i < 32 && i % 2 == 0;
    if ((reserved && bytes[i]) || (row_bytes && emulated::tiles.row_bytes[(i - 16) / 2] > 64) ||
        (i >= 48 && bytes[i] > 16))
      std::abort();  // a general protection fault
  }
}
inline void _tile_release() { emulated::tiles = {}; }
inline void _tile_zero(int tile) { std::memset(emulated::tiles.of(tile), 0, sizeof(emulated::tiles.bytes[0])); }
inline void _tile_loadd(int tile, const void* from, int64_t stride) {
  auto& bytes = emulated::tiles.of(tile);
  std::memset(bytes, 0, sizeof(bytes));
  for (int r = 0; r < emulated::tiles.rows[tile]; ++r)
    std::memcpy(bytes[r], static_cast<const char*>(from) + r * stride, emulated::tiles.row_bytes[tile]);
}
inline void _tile_stored(int tile, void* to, int64_t stride) {
  auto& bytes = emulated::tiles.of(tile);
  for (int r = 0; r < emulated::tiles.rows[tile]; ++r)
    std::memcpy(static_cast<char*>(to) + r * stride, bytes[r], emulated::tiles.row_bytes[tile]);
}
/// Sums the first values of all pairs and the second ones apart, and adds both to the sums.
inline void _tile_dpbf16ps(int sums, int a, int b) {
  using emulated::Halves, emulated::multiply_add, emulated::flushed;
  auto &to = emulated::tiles.of(sums), &left = emulated::tiles.of(a), &right = emulated::tiles.of(b);
  if (emulated::tiles.row_bytes[a] / 4 != emulated::tiles.rows[b]) std::abort();
  for (int m = 0; m < emulated::tiles.rows[sums]; ++m) {
    const auto row = emulated::load<Halves>(left[m]);
    auto total = emulated::load<emulated::Floats>(to[m]);
    float first[16] = {}, second[16] = {};
    for (int k = 0; k < emulated::tiles.rows[b]; ++k) {
      const auto columns = emulated::load<Halves>(right[k]);
      for (int n = 0; n < 16; ++n) {
        first[n] = multiply_add(row[2 * k], columns[2 * n], first[n]);
        second[n] = multiply_add(row[2 * k + 1], columns[2 * n + 1], second[n]);
      }
    }
    for (int n = 0; n < emulated::tiles.row_bytes[sums] / 4; ++n)
      total[n] = flushed(flushed(total[n]) + flushed(first[n] + second[n]));
    emulated::store(to[m], total);
  }
}
