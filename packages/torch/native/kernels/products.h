// The products of gemm.h on tensors, spread over libtorch's threads. Each element is summed in one order, whatever the
// thread count. "Rows" are contiguous, row-major matrices.
#pragma once
#include "gemm.h"

#include <ATen/core/Tensor.h>

#include <vector>

namespace rfdetr::products {

using gemm::Activation;
using gemm::Epilogue;
using gemm::Kernels;

/// Whether a tensor is float32 or bfloat16, and strided.
bool is_f32_or_bf16(const at::Tensor& tensor);
/// The kernels for a left operand of this dtype; null where there are none for it on this CPU.
const Kernels* kernels_for(const at::Tensor& left);
/// Whether the products take this input and this weight on this CPU: whole cells, and at least sixteen rows, because
/// packing a weight costs as much as multiplying a few rows by it. A bfloat16 input may have a float32 weight.
bool kernel_applies(const at::Tensor& input, const at::Tensor& weight);
/// [..., K] as rows [N × K].
at::Tensor as_rows(const at::Tensor& tensor);
/// `sizes` with another last one.
std::vector<int64_t> with_last_size(at::IntArrayRef sizes, int64_t last);

/// Packs a weight [N × K], with unit stride on K, as the right operand of a product of rows of `dtype` with its
/// transpose: rounded to bfloat16 where that is bfloat16. Its last cells say what it is.
at::Tensor pack_weight(const at::Tensor& weight, at::ScalarType dtype);
/// Whether a tensor is what pack_weight makes of a weight [outputs × depth], for inputs of these kernels.
bool is_packed(const at::Tensor& tensor, const Kernels& kernels, int64_t outputs, int64_t depth);
/// Packs a float32 weight for an input from split_input; needs kernels of pairs.
at::Tensor pack_split_weight(const at::Tensor& weight);
/// float32 rows [N × K] as bfloat16 rows [N × 3K]: [hi, hi, lo]; see gemm::split_rows.
at::Tensor split_input(const at::Tensor& rows);

/// out = left · packed weight: rows [N × K] of whole cells, to rows [N × M] of float32 or bfloat16.
void multiply(const at::Tensor& left, const at::Tensor& packed, const Epilogue& epilogue, at::Tensor& out);
/// gradient · weight: rows [N × M] and weight [M × K], to rows [N × K] in `dtype`: to `result`, if it is defined.
at::Tensor input_gradient(const at::Tensor& gradient, const at::Tensor& weight, at::ScalarType dtype,
                          const Epilogue& epilogue = {}, at::Tensor result = {});

/// Rows that add_weight_gradient sums at once. With a power of two, packed panels would share few lines of the caches.
constexpr int64_t rows_at_once = 488;
/// The gradients of a weight [M × K] and of a bias [M], float32; undefined at first.
struct WeightGradient {
  at::Tensor weight, bias;
};
/// Adds gradientᵀ · input, and the column sums of the gradient: rows [N × M] and [N × K]. A float32 input is rounded
/// where the gradient is bfloat16. Rows in parts of a multiple of `rows_at_once` give the bits of all rows at once.
void add_weight_gradient(const at::Tensor& gradient, const at::Tensor& input, WeightGradient& to);

/// Whether there are kernels of activations for this dtype on this CPU.
bool activation_applies(const at::Tensor& input);
/// GELU with the same bits as in an epilogue.
at::Tensor gelu(const at::Tensor& input);
/// gradient · gelu'(input).
at::Tensor gelu_backward(const at::Tensor& gradient, const at::Tensor& input);

}  // namespace rfdetr::products
