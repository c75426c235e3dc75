// Plain C++ that is compiled for several CPUs: loading the addon picks the best version.
#pragma once
#include <cstdint>

#if defined(__x86_64__) && defined(__gnu_linux__)
#define EVERY_CPU __attribute__((target_clones("avx512f", "arch=x86-64-v3", "default")))
#else
#define EVERY_CPU
#endif

/// A function for CPUs with AVX-512 only, where they may have it.
#if defined(__x86_64__)
#define WITH_AVX512 __attribute__((target("avx512f")))
#else
#define WITH_AVX512
#endif

/// For what an EVERY_CPU function calls: only inlined code is compiled for that function's CPU.
#define ALWAYS_INLINE inline __attribute__((always_inline))

namespace rfdetr {

/// Calls `body<n>()` for a count n of 1 … most, which the body knows at compile time; larger counts count as `most`.
template <int most, class Body>
ALWAYS_INLINE void with_constant(int64_t count, Body&& body) {
  if constexpr (most > 1)
    if (count < most) return with_constant<most - 1>(count, body);
  body.template operator()<most>();
}

}  // namespace rfdetr
