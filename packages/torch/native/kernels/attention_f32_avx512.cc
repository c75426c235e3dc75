// compile: -O3 -march=x86-64-v4 -fno-trapping-math --param=avoid-fma-max-bits=0
#ifdef __AVX512F__
#include "attention_f32.h"

const rfdetr::attention::VectorKernels* rfdetr::attention::avx512_kernels() { return &avx512::attention_kernels; }
#else
#include "attention.h"

const rfdetr::attention::VectorKernels* rfdetr::attention::avx512_kernels() { return nullptr; }
#endif
