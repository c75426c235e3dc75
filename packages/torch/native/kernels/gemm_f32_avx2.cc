// compile: -O3 -mavx2 -mfma -fno-trapping-math --param=avoid-fma-max-bits=0
// Products of float32 for CPUs with AVX2.
#include "gemm.h"

#ifdef __AVX2__
#include "gemm_f32.h"

const rfdetr::gemm::Kernels* rfdetr::gemm::avx2_f32_kernels() {
  static constexpr Kernels kernels = avx2::f32_kernels("avx2");
  return &kernels;
}
#else
const rfdetr::gemm::Kernels* rfdetr::gemm::avx2_f32_kernels() { return nullptr; }
#endif
