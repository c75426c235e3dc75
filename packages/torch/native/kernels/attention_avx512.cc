// compile: -O3 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512bf16 -mfma
// The attention kernel for AVX512-BF16.
#include "attention.h"

#ifdef __x86_64__
#include "attention_pairs.h"

const rfdetr::attention::Kernel<rfdetr::attention::Bf16>* rfdetr::attention::bf16_pair_kernel() {
  return &pair_kernel<InVectors>;
}
#else
const rfdetr::attention::Kernel<rfdetr::attention::Bf16>* rfdetr::attention::bf16_pair_kernel() { return nullptr; }
#endif
