// Which kernels multiply on this CPU.
#include "gemm.h"

#include "isa.h"

namespace rfdetr::gemm {

namespace {

const Kernels* f32_kernels() {
  switch (isa()) {
    case Isa::avx512: return avx512_f32_kernels();
    case Isa::avx2: return avx2_f32_kernels();
    default: return nullptr;  // libtorch's products are as fast
  }
}

}  // namespace

const Kernels* kernels(bool is_bf16) {
  if (is_bf16 && pairs_pay()) return avx512_pair_kernels();
  // libtorch multiplies bfloat16 in the matrix units, several times as fast as any kernel here.
  return is_bf16 && has_amx_bf16() ? nullptr : f32_kernels();
}

}  // namespace rfdetr::gemm
