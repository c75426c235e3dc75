// rfdetr::attention: scaled dot-product attention on tensors [batch, length, heads, width]. The projections before it
// and after it use the same layout, so nothing is transposed. float32 and bfloat16 on a CPU run the fused kernels;
// every other dtype and device runs libtorch's own attention.
#include "attention.h"
#include "autograd_function.h"
#include "isa.h"
#include "parallel.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>

namespace rfdetr {

namespace {

using attention::Bf16;
using attention::Inputs;
using attention::Kernel;
using attention::Problem;
using attention::Result;
using attention::VectorKernels;
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

at::Tensor attention_composed(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, double scale) {
  const at::Tensor q = query.transpose(1, 2), k = key.transpose(1, 2), v = value.transpose(1, 2);
  // libtorch's CPU kernel takes a row of NaN scores, or of minus infinity, for one whose keys are all masked, and gives
  // zeros.
  const bool written =
      query.device().is_cpu() && query.numel() > 0 && key.numel() > 0 && !has_finite_scores(query, key, scale);
  const at::Tensor result =
      written ? as_written(q, k, v, scale) : at::scaled_dot_product_attention(q, k, v, {}, 0.0, false, scale);
  return result.transpose(1, 2);
}

/// The widest vector kernels that this CPU and its compiler have.
const VectorKernels& vector_kernels() {
  static const VectorKernels* const kernels = [] {
    const VectorKernels* found = nullptr;
    if (isa() >= Isa::avx512) found = attention::avx512_kernels();
    if (!found && isa() != Isa::baseline) found = attention::avx2_kernels();
    return found ? found : attention::baseline_kernels();
  }();
  return *kernels;
}

/// The kernel on pairs of bfloat16, where one applies.
const Kernel<Bf16>* pair_kernel(int64_t width, double scale) {
  static const Kernel<Bf16>* const in_tiles = isa() == Isa::amx ? attention::bf16_tile_kernel() : nullptr;
  static const Kernel<Bf16>* const supported = in_tiles || !pairs_pay() ? in_tiles : attention::bf16_pair_kernel();
  return width % 32 == 0 && width <= 128 && scale > 0 ? supported : nullptr;
}

/// Calls body(kernel) with the kernel for tensors like `query`.
template <class Body>
void with_kernel(const at::Tensor& query, double scale, Body&& body) {
  if (query.scalar_type() == at::kFloat) return body(vector_kernels().f32);
  const Kernel<Bf16>* const pairs = pair_kernel(query.size(3), scale);
  return body(pairs ? *pairs : vector_kernels().bf16);
}

bool attention_applies(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value) {
  const auto dtype = query.scalar_type();
  return (dtype == at::kFloat || dtype == at::kBFloat16) && key.scalar_type() == dtype &&
         value.scalar_type() == dtype && query.device().is_cpu() && key.device().is_cpu() && value.device().is_cpu() &&
         query.size(3) <= 512 && key.size(1) > 0 && key.size(1) <= 4096 && query.numel() > 0;
}

/// The tensor as every kernel loads it: with unit stride on the last axis, and in bfloat16 even strides on the others.
at::Tensor with_unit_stride(const at::Tensor& tensor) {
  const auto is_even = [&](int64_t axis) { return tensor.stride(axis) % 2 == 0; };
  const bool even = tensor.scalar_type() == at::kFloat ||
                    (is_even(0) && is_even(1) && is_even(2) && tensor.storage_offset() % 2 == 0);
  return tensor.stride(3) == 1 && even && tensor.stride(1) < (1 << 24) ? tensor : tensor.contiguous();
}

template <class T>
View<T> view(const at::Tensor& tensor) {
  return {static_cast<T*>(tensor.data_ptr()), tensor.stride(0), tensor.stride(1), tensor.stride(2)};
}

template <class T>
Inputs<T> views(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value) {
  return {view<T>(query), view<T>(key), view<T>(value)};
}

Problem problem_of(const at::Tensor& query, const at::Tensor& key, double scale) {
  return {query.size(0), query.size(2), query.size(1), key.size(1), query.size(3), static_cast<float>(scale)};
}

/// Units of so many queries for one thread: at least 2¹⁷ multiplications, so that starting it pays.
int64_t grain(const Problem& p, int64_t queries) {
  return std::max<int64_t>(1, (1 << 17) / std::max<int64_t>(1, queries * p.keys * p.width));
}

/// The result, and the statistics of its rows for backward.
std::pair<at::Tensor, at::Tensor> run_forward(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                              double scale) {
  const at::Tensor q = with_unit_stride(query), k = with_unit_stride(key), v = with_unit_stride(value);
  const Problem problem = problem_of(query, key, scale);
  at::Tensor out = at::empty(query.sizes(), query.options()), statistics;
  with_kernel(query, scale, [&]<class T>(const Kernel<T>& kernel) {
    statistics = at::empty({problem.batch, problem.heads, problem.queries, kernel.statistics},
                           query.options().dtype(at::kFloat));
    const Inputs<T> inputs = views<T>(q, k, v);
    const Result<T> result{view<T>(out), statistics.data_ptr<float>()};
    const int64_t unit = kernel.unit > 0 ? kernel.unit : problem.queries;
    const int64_t units = problem.batch * problem.heads * ((problem.queries + unit - 1) / unit);
    parallel_for(0, units, grain(problem, unit),
                 [&](int64_t first, int64_t last) { kernel.forward(problem, inputs, result, first, last); });
  });
  return {out, statistics};
}

struct Attention : torch::autograd::Function<Attention> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& query, const at::Tensor& key,
                            const at::Tensor& value, double scale) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto [out, statistics] = run_forward(query, key, value, scale);
    context->save_for_backward({query, key, value, out, statistics});
    context->saved_data["scale"] = scale;
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const double scale = context->saved_data["scale"].toDouble();
    if (at::GradMode::is_enabled()) return recorded_backward({saved[0], saved[1], saved[2]}, scale, gradients[0]);
    const at::Tensor query = with_unit_stride(saved[0]), key = with_unit_stride(saved[1]);
    const at::Tensor value = with_unit_stride(saved[2]), &out = saved[3], &statistics = saved[4];
    const Problem problem = problem_of(query, key, scale);
    const at::Tensor gradient = with_unit_stride(gradients[0].to(query.scalar_type()));
    at::Tensor query_gradient = at::empty(query.sizes(), query.options());
    at::Tensor key_gradient = at::empty(key.sizes(), key.options());
    at::Tensor value_gradient = at::empty(value.sizes(), value.options());
    with_kernel(query, scale, [&]<class T>(const Kernel<T>& kernel) {
      const Inputs<T> inputs = views<T>(query, key, value);
      const Inputs<T> input_gradients = views<T>(query_gradient, key_gradient, value_gradient);
      const Result<T> result{view<T>(out), statistics.data_ptr<float>()};
      const View<T> out_gradient = view<T>(gradient);
      parallel_for(0, problem.batch * problem.heads, grain(problem, problem.queries), [&](int64_t first, int64_t last) {
        kernel.backward(problem, inputs, result, out_gradient, input_gradients, first, last);
      });
    });
    return {query_gradient, key_gradient, value_gradient, at::Tensor()};
  }

 private:
  /// The gradients by operators that autograd records, for second derivatives.
  static variable_list recorded_backward(const variable_list& inputs, double scale, const at::Tensor& gradient) {
    const at::Tensor out =
        as_written(inputs[0].transpose(1, 2), inputs[1].transpose(1, 2), inputs[2].transpose(1, 2), scale)
            .transpose(1, 2);
    return recorded_gradients(out, inputs, gradient, 4);
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
  if (!attention_applies(query, key, value)) return attention_composed(query, key, value, scale);
  return at::GradMode::is_enabled() ? Attention::apply(query, key, value, scale)
                                    : run_forward(query, key, value, scale).first;
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rfdetr, library) {
  library.def("attention(Tensor query, Tensor key, Tensor value, float scale) -> Tensor", TORCH_FN(attention_entry));
  library.def("attention_composed(Tensor query, Tensor key, Tensor value, float scale) -> Tensor",
              TORCH_FN(attention_composed));
}

}  // namespace rfdetr
