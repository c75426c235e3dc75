// Products of gemm.h on tensors, spread over libtorch's threads. Whatever the thread count, each element is summed in
// one order.
#pragma once
#include "gemm.h"

#include <ATen/core/Tensor.h>

#include <vector>

namespace rfdetr::products {

/// float32 or bfloat16 in plain memory.
bool plain(const at::Tensor& tensor);
/// Whether the kernels run here and take this input and this weight: bfloat16 rows of even width, of which there are
/// more than a handful, since packing costs as much as multiplying a few.
bool fit(const at::Tensor& input, const at::Tensor& weight);
/// All but the last axis as one, contiguous.
at::Tensor rows_of(const at::Tensor& tensor);
std::vector<int64_t> with_last(at::IntArrayRef sizes, int64_t last);

/// A weight [N × K] (unit stride on K) as the right operand of a product with its transpose: rounded to bfloat16, and
/// where `split` as (rounded, left over, rounded), which goes with split_input.
at::Tensor pack_weight(const at::Tensor& weight, bool split = false);
/// Elements of what pack_weight gives for a weight [outputs × depth].
int64_t packed_weight_size(int64_t outputs, int64_t depth);
/// float32 [rows × K] as bfloat16 [rows × 3K]: rounded, rounded, left over.
at::Tensor split_input(const at::Tensor& rows);

using gemm::Activation;

/// What happens to the elements of a product as they are written. Tensors are contiguous, or undefined.
struct Finish {
  at::Tensor bias;  // float32 [N]
  Activation activation = Activation::none;
  at::Tensor before;  // bfloat16 [rows × N], takes what the activation was given
  Activation slope_of = Activation::none;
  at::Tensor at;  // bfloat16 [rows × N], where the slope is taken
};

/// out [rows × N], float32 or bfloat16, = left [rows × K] bfloat16 of even K · packed weight. All contiguous.
void multiply(const at::Tensor& left, const at::Tensor& packed, const Finish& finish, at::Tensor& out);
/// gradient [rows × N] bfloat16 · weight [N × K], in `dtype`.
at::Tensor input_gradient(const at::Tensor& gradient, const at::Tensor& weight, at::ScalarType dtype,
                          const Finish& finish = {});
/// float32 [N × K] = gradientᵀ · input over their rows, either of float32 (rounded) or bfloat16, and the column sums of
/// the gradient into `sums`, if given.
at::Tensor weight_gradient(const at::Tensor& gradient, const at::Tensor& input, at::Tensor* sums);

/// GELU of bfloat16 values, and times its slope at `at`: as the products have it.
at::Tensor gelu(const at::Tensor& values);
at::Tensor gelu_backward(const at::Tensor& gradient, const at::Tensor& at);

}  // namespace rfdetr::products
