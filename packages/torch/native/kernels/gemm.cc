// Which kernels multiply on this CPU.
#include "gemm.h"

#include "isa.h"

namespace rfdetr::gemm {

namespace {

const Kernels* f32_kernels() {
  if (isa() >= Isa::avx512) return avx512_f32_kernels();
  return isa() == Isa::avx2 ? avx2_f32_kernels() : nullptr;  // libtorch's products are as fast
}

}  // namespace

const Kernels* kernels(bool is_bf16) {
  if (!is_bf16 || !pairs_pay()) return f32_kernels();
  const Kernels* const in_tiles = isa() == Isa::amx ? amx_pair_kernels() : nullptr;
  return in_tiles ? in_tiles : avx512_pair_kernels();
}

}  // namespace rfdetr::gemm
