// Packs operands as pairs of bfloat16: gemm.h has what the functions do.
#pragma once
#include "microkernel_avx512.h"

namespace rfdetr::gemm {

// The functions of Kernels, for panels of `pairs` cells, and of the right operand of `width` columns: 64 or 32.
template <int64_t width>
void pack_transposed(const Source& weight, int64_t columns, int64_t depth, int64_t pairs, int64_t first, int64_t last,
                     Pair* packed);
template <int64_t width>
void pack_right(const Source& matrix, int64_t columns, int64_t depth, int64_t pairs, int64_t first, int64_t last,
                Pair* packed);
void pack_left(const Source& matrix, int64_t columns, int64_t depth, int64_t pairs, int64_t first, int64_t last,
               Pair* packed, float* sums);

// GELU of rounded values, and its derivative, as the epilogues of all kernels of pairs compute them.
void gelu(bool, const void* input, int64_t count, void* result);
void gelu_backward(bool, const void* gradient, const void* input, int64_t count, void* result);

}  // namespace rfdetr::gemm
