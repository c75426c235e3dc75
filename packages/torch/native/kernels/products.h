// Products of gemm.h on tensors, spread over libtorch's threads. Whatever the thread count, each element is summed in one order.
#pragma once
#include "gemm.h"

#include <ATen/core/Tensor.h>

#include <vector>

namespace rfdetr::products {

/// float32 or bfloat16 in plain memory.
bool plain(const at::Tensor& tensor);
/// All but the last axis as one, contiguous.
at::Tensor rows_of(const at::Tensor& tensor);
std::vector<int64_t> with_last(at::IntArrayRef sizes, int64_t last);

/// A weight [N × K] (unit stride on K) as the right operand of a product with its transpose: rounded to bfloat16, and where `split` as (rounded, left over, rounded),
/// which goes with split_input.
at::Tensor pack_weight(const at::Tensor& weight, bool split = false);
/// Elements of what pack_weight gives for a weight [outputs × depth].
int64_t packed_weight_size(int64_t outputs, int64_t depth);
/// float32 [rows × K] as bfloat16 [rows × 3K]: rounded, rounded, left over.
at::Tensor split_input(const at::Tensor& rows);

/// out [rows × N], float32 or bfloat16, = left [rows × K] bfloat16 of even K · packed weight + bias, float32 [N] or undefined. All contiguous.
void multiply(const at::Tensor& left, const at::Tensor& packed, const at::Tensor& bias, at::Tensor& out);
/// gradient [rows × N] bfloat16 · weight [N × K], in `dtype`.
at::Tensor input_gradient(const at::Tensor& gradient, const at::Tensor& weight, at::ScalarType dtype);
/// float32 [N × K] = gradientᵀ · input over their rows, either of float32 (rounded) or bfloat16, and the column sums of the gradient into `sums`, if given.
at::Tensor weight_gradient(const at::Tensor& gradient, const at::Tensor& input, at::Tensor* sums);

}  // namespace rfdetr::products
