// Packs operands as pairs of bfloat16: gemm.h has what the functions do.
#pragma once
#include "microkernel_avx512.h"

namespace rfdetr::gemm {

void pack_transposed(const Source& weight, int64_t columns, int64_t depth, int64_t first, int64_t last, Pair* packed);
/// Packs panels that lie `panel_size` pairs apart. With `residual`, packs the rounding error of each weight, itself
/// rounded to bfloat16.
void pack_transposed(const Source& weight, int64_t columns, int64_t depth, int64_t first, int64_t last, Pair* packed,
                     int64_t panel_size, bool residual);
void pack_right(const Source& matrix, int64_t columns, int64_t depth, int64_t first, int64_t last, Pair* packed);
void pack_left(const Source& matrix, int64_t columns, int64_t depth, int64_t first, int64_t last, Pair* packed,
               float* sums);

}  // namespace rfdetr::gemm
