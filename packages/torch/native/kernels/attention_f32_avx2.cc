// compile: -O3 -mavx2 -mfma -fno-trapping-math --param=avoid-fma-max-bits=0
#ifdef __AVX2__
#include "attention_f32.h"

const rfdetr::attention::VectorKernels* rfdetr::attention::avx2_kernels() { return &avx2::attention_kernels; }
#else
#include "attention.h"

const rfdetr::attention::VectorKernels* rfdetr::attention::avx2_kernels() { return nullptr; }
#endif
