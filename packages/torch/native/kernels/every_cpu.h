// Plain C++ that is compiled for several CPUs: loading the addon picks the best version.
#pragma once

#if defined(__x86_64__) && defined(__gnu_linux__)
#define EVERY_CPU __attribute__((target_clones("avx512f", "arch=x86-64-v3", "default")))
#else
#define EVERY_CPU
#endif

/// For what an EVERY_CPU function calls: only inlined code is compiled for that function's CPU.
#define ALWAYS_INLINE inline __attribute__((always_inline))
