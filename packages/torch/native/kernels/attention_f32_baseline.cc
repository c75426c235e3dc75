// compile: -O3 -fno-trapping-math --param=avoid-fma-max-bits=0
#include "attention_f32.h"

const rfdetr::attention::VectorKernels* rfdetr::attention::baseline_kernels() { return &baseline::attention_kernels; }
