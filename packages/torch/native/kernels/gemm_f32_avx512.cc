// compile: -O3 -march=x86-64-v4 -fno-trapping-math --param=avoid-fma-max-bits=0
// Products of float32 for CPUs with AVX-512.
#include "gemm.h"

#ifdef __AVX512F__
#include "gemm_f32.h"

const rfdetr::gemm::Kernels* rfdetr::gemm::avx512_f32_kernels() {
  static constexpr Kernels kernels = avx512::f32_kernels("avx512");
  return &kernels;
}
#else
const rfdetr::gemm::Kernels* rfdetr::gemm::avx512_f32_kernels() { return nullptr; }
#endif
