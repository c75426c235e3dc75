// rfdetr::attention: scaled dot-product attention on tensors [batch, length, heads, width]. The projections before it
// and after it use the same layout, so nothing is transposed. bfloat16 on a CPU with AVX512-BF16 runs the fused kernel;
// every other dtype and device runs libtorch's own attention.
#include "attention.h"
#include "isa.h"
#include "parallel.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>

namespace rfdetr {

namespace {

using attention::Inputs;
using attention::Problem;
using attention::Result;
using attention::View;

/// Whether no score can leave the range of float32, so that no row has a score of NaN or infinity.
bool has_finite_scores(const at::Tensor& query, const at::Tensor& key, double scale) {
  const auto largest = [](const at::Tensor& tensor) {
    const auto [low, high] = at::aminmax(tensor.detach());
    return std::max(std::fabs(low.item<double>()), std::fabs(high.item<double>()));
  };
  const double bound =
      largest(query) * largest(key) * static_cast<double>(query.size(3)) * std::max(1.0, std::fabs(scale));
  return bound < 1e38;  // false for NaN
}

/// softmax(scale * q kT) v as it is written, in float32 or above.
at::Tensor as_written(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, double scale) {
  const auto dtype = at::promote_types(query.scalar_type(), at::kFloat);
  const at::Tensor scores = at::matmul(query.to(dtype), key.to(dtype).transpose(-2, -1)) * scale;
  return at::matmul(scores.softmax(-1), value.to(dtype)).to(query.scalar_type());
}

at::Tensor composed(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, double scale) {
  const at::Tensor q = query.transpose(1, 2), k = key.transpose(1, 2), v = value.transpose(1, 2);
  // libtorch's CPU kernel takes a row of NaN scores, or of minus infinity, for one whose keys are all masked, and gives
  // zeros.
  const bool written =
      query.device().is_cpu() && query.numel() > 0 && key.numel() > 0 && !has_finite_scores(query, key, scale);
  const at::Tensor result =
      written ? as_written(q, k, v, scale) : at::scaled_dot_product_attention(q, k, v, {}, 0.0, false, scale);
  return result.transpose(1, 2);
}

bool kernel_applies(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, double scale) {
  static const bool supported = has_avx512_bf16();
  if (!supported || !query.device().is_cpu() || query.scalar_type() != at::kBFloat16 ||
      key.scalar_type() != at::kBFloat16 || value.scalar_type() != at::kBFloat16)
    return false;
  const int64_t width = query.size(3);
  return width % 32 == 0 && width <= 128 && query.size(1) > 0 && key.size(1) > 0 && key.size(1) <= 4096 &&
         query.numel() > 0 && scale > 0;
}

/// The tensor as the kernel loads it, pair by pair: with unit stride on the last axis and even strides on the others.
at::Tensor with_even_strides(const at::Tensor& tensor) {
  const bool even = tensor.stride(3) == 1 && tensor.stride(0) % 2 == 0 && tensor.stride(1) % 2 == 0 &&
                    tensor.stride(2) % 2 == 0 && tensor.storage_offset() % 2 == 0 && tensor.stride(1) < (1 << 24);
  return even ? tensor : tensor.contiguous();
}

View view(const at::Tensor& tensor) {
  return {reinterpret_cast<uint16_t*>(tensor.data_ptr()), tensor.stride(0), tensor.stride(1), tensor.stride(2)};
}

Problem problem_of(const at::Tensor& query, const at::Tensor& key, double scale) {
  return {query.size(0), query.size(2), query.size(1), key.size(1), query.size(3), static_cast<float>(scale)};
}

struct Attention : torch::autograd::Function<Attention> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& query_in,
                            const at::Tensor& key_in, const at::Tensor& value_in, double scale) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const at::Tensor query = with_even_strides(query_in), key = with_even_strides(key_in);
    const at::Tensor value = with_even_strides(value_in);
    const Problem problem = problem_of(query, key, scale);
    at::Tensor out = at::empty(query.sizes(), query.options());
    at::Tensor lse = at::empty({problem.batch, problem.heads, problem.queries}, query.options().dtype(at::kFloat));
    const Inputs inputs{view(query), view(key), view(value)};
    const Result result{view(out), lse.data_ptr<float>()};
    parallel_for(0, problem.batch * problem.heads, 1,
                 [&](int64_t first, int64_t last) { attention::forward(problem, inputs, result, first, last); });
    context->save_for_backward({query, key, value, out, lse});
    context->saved_data["scale"] = scale;
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &query = saved[0], &key = saved[1], &value = saved[2], &out = saved[3], &lse = saved[4];
    const Problem problem = problem_of(query, key, context->saved_data["scale"].toDouble());
    const at::Tensor gradient = with_even_strides(gradients[0].to(at::kBFloat16));
    at::Tensor query_gradient = at::empty(query.sizes(), query.options());
    at::Tensor key_gradient = at::empty(key.sizes(), key.options());
    at::Tensor value_gradient = at::empty(value.sizes(), value.options());
    const Inputs inputs{view(query), view(key), view(value)};
    const Inputs input_gradients{view(query_gradient), view(key_gradient), view(value_gradient)};
    const Result result{view(out), lse.data_ptr<float>()};
    parallel_for(0, problem.batch * problem.heads, 1, [&](int64_t first, int64_t last) {
      attention::backward(problem, inputs, result, view(gradient), input_gradients, first, last);
    });
    return {query_gradient, key_gradient, value_gradient, at::Tensor()};
  }
};

at::Tensor attention_entry(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, double scale) {
  TORCH_CHECK(query.dim() == 4 && key.dim() == 4 && value.dim() == 4,
              "Expected query, key and value of 4 dimensions [batch, length, heads, width] but received ", query.dim(),
              ", ", key.dim(), " and ", value.dim());
  TORCH_CHECK(
      key.sizes() == value.sizes() && query.size(0) == key.size(0) && query.size(2) == key.size(2) &&
          query.size(3) == key.size(3),
      "Expected key and value of one shape that agrees with the query in batch, heads and width but received query ",
      query.sizes(), ", key ", key.sizes(), ", value ", value.sizes());
  if (!kernel_applies(query, key, value, scale)) return composed(query, key, value, scale);
  return Attention::apply(query, key, value, scale);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rfdetr, library) {
  library.def("attention(Tensor query, Tensor key, Tensor value, float scale) -> Tensor");
  library.impl("attention", c10::DispatchKey::CompositeImplicitAutograd, TORCH_FN(attention_entry));
  library.def("attention_composed(Tensor query, Tensor key, Tensor value, float scale) -> Tensor");
  library.impl("attention_composed", c10::DispatchKey::CompositeImplicitAutograd, TORCH_FN(composed));
}

}  // namespace rfdetr
