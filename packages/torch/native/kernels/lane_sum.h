// Vectors of eight and sixteen floats for EVERY_CPU functions, and the sum of their lanes in one order. Sixteen lanes
// are for AVX-512: a vector that is wider than the CPU's goes through memory.
#pragma once
#include "every_cpu.h"

namespace rfdetr {

using Float4 = float __attribute__((vector_size(16)));
using Float8 = float __attribute__((vector_size(32)));
using Float16 = float __attribute__((vector_size(64)));

ALWAYS_INLINE float sum_of(const Float8& v) {
  const Float4 half = __builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 4, 5, 6, 7);
  return (half[0] + half[2]) + (half[1] + half[3]);
}
ALWAYS_INLINE float sum_of(const Float16& v) {
  return sum_of(Float8(__builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                       __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15)));
}

}  // namespace rfdetr
