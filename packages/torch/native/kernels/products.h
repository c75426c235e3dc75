// The products of gemm.h on tensors, spread over libtorch's threads. Each element is summed in one order, whatever the
// thread count. "Rows" are contiguous, row-major matrices.
#pragma once
#include "gemm.h"

#include <ATen/core/Tensor.h>

#include <vector>

namespace rfdetr::products {

using gemm::Activation;
using gemm::Epilogue;

/// Whether a tensor is float32 or bfloat16, and strided.
bool is_f32_or_bf16(const at::Tensor& tensor);
/// Whether the products take this input and this weight on this CPU: bfloat16 input, even width, and at least sixteen
/// rows, because packing a weight costs as much as multiplying a few rows by it.
bool kernel_applies(const at::Tensor& input, const at::Tensor& weight);
/// [..., K] as rows [N × K].
at::Tensor as_rows(const at::Tensor& tensor);
/// `sizes` with another last one.
std::vector<int64_t> with_last_size(at::IntArrayRef sizes, int64_t last);

/// Packs a weight [N × K], with unit stride on K, as the right operand of a product with its transpose: rounded to
/// bfloat16, or where `split` as [hi, lo, hi] for an input from split_input.
at::Tensor pack_weight(const at::Tensor& weight, bool split = false);
/// Elements of the result of pack_weight, unsplit, for a weight [outputs × depth].
int64_t packed_weight_size(int64_t outputs, int64_t depth);
/// float32 rows [N × K] as bfloat16 rows [N × 3K]: [hi, hi, lo]; see gemm::split_rows.
at::Tensor split_input(const at::Tensor& rows);

/// out = left · packed weight: bfloat16 rows [N × K] of even K, to rows [N × M] of float32 or bfloat16.
void multiply(const at::Tensor& left, const at::Tensor& packed, const Epilogue& epilogue, at::Tensor& out);
/// gradient · weight: bfloat16 rows [N × M] and weight [M × K], to rows [N × K] in `dtype`.
at::Tensor input_gradient(const at::Tensor& gradient, const at::Tensor& weight, at::ScalarType dtype,
                          const Epilogue& epilogue = {});
/// gradientᵀ · input: rows [N × M] and [N × K], float32 (rounded while they are packed) or bfloat16, to float32 rows
/// [M × K]. Sets `sums`, if given, to the column sums of the gradient.
at::Tensor weight_gradient(const at::Tensor& gradient, const at::Tensor& input, at::Tensor* sums);

/// GELU of bfloat16 values, with the same bits as in an epilogue.
at::Tensor gelu(const at::Tensor& input);
/// gradient · gelu'(input).
at::Tensor gelu_backward(const at::Tensor& gradient, const at::Tensor& input);

/// The elements of a bfloat16 tensor as the kernels take them.
uint16_t* bf16_data(const at::Tensor& tensor);

}  // namespace rfdetr::products
