// compile: -O3 -fno-trapping-math
// aten::linear on the CPU as one node of the graph: the products of products.h, in float32 and in bfloat16. The bias
// gradient is a column sum; there are no views, no transposes and no nodes for them. A bfloat16 input takes a float32
// weight, which is rounded while it is packed, and whose gradient is float32: no bfloat16 copy of a weight or of its
// gradient is written. Where there are no kernels, libtorch computes the same products.
#include "autograd_function.h"
#include "every_cpu.h"
#include "parallel.h"
#include "products.h"

#include <ATen/ATen.h>
#include <ATen/ops/linear_native.h>
#include <torch/library.h>

namespace rfdetr {

namespace {

using namespace products;

constexpr int64_t block = 256;  // columns that one pass over the rows sums
constexpr int64_t rows_at_once = 4;

/// Sums at most `block` columns. Adds up 64 rows before it adds them to the total, because short sums round less.
template <class T>
ALWAYS_INLINE void sum_columns(const T* from, int64_t rows, int64_t stride, int64_t columns, T* to) {
  float total[block] = {};
  for (int64_t begin = 0; begin < rows; begin += 64) {
    float part[block] = {};
    const int64_t end = std::min<int64_t>(begin + 64, rows);
    int64_t r = begin;
    for (; r + rows_at_once <= end; r += rows_at_once) {
      const T *first = from + r * stride, *second = first + stride, *third = second + stride, *fourth = third + stride;
      for (int64_t c = 0; c < columns; ++c)
        part[c] += (static_cast<float>(first[c]) + static_cast<float>(second[c])) +
                   (static_cast<float>(third[c]) + static_cast<float>(fourth[c]));
    }
    for (; r < end; ++r)
      for (int64_t c = 0; c < columns; ++c) part[c] += static_cast<float>(from[r * stride + c]);
    for (int64_t c = 0; c < columns; ++c) total[c] += part[c];
  }
  for (int64_t c = 0; c < columns; ++c) to[c] = static_cast<T>(total[c]);
}

EVERY_CPU void sum_block(const float* from, int64_t rows, int64_t stride, int64_t columns, float* to) {
  sum_columns(from, rows, stride, columns, to);
}
EVERY_CPU void sum_block(const at::BFloat16* from, int64_t rows, int64_t stride, int64_t columns, at::BFloat16* to) {
  sum_columns(from, rows, stride, columns, to);
}

template <class T>
void sum_columns_of(const at::Tensor& matrix, at::Tensor& sums) {
  const int64_t rows = matrix.size(0), columns = matrix.size(1);
  const T* from = matrix.const_data_ptr<T>();
  T* to = sums.data_ptr<T>();
  const int64_t grain = std::max<int64_t>(1, (1 << 16) / (rows * block));
  parallel_for(0, (columns + block - 1) / block, grain, [&](int64_t first, int64_t last) {
    for (int64_t i = first * block; i < std::min(last * block, columns); i += block)
      sum_block(from + i, rows, columns, std::min(block, columns - i), to + i);
  });
}

/// Sums over the rows of a contiguous float32 or bfloat16 matrix, in one order whatever the thread count.
at::Tensor column_sums(const at::Tensor& matrix) {
  if (matrix.numel() == 0) return matrix.sum(0);
  at::Tensor sums = at::empty({matrix.size(1)}, matrix.options());
  matrix.scalar_type() == at::kFloat ? sum_columns_of<float>(matrix, sums) : sum_columns_of<at::BFloat16>(matrix, sums);
  return sums;
}

/// input · packed weightᵀ + bias, in the dtype of the input.
at::Tensor packed_linear(const at::Tensor& input, const at::Tensor& packed, int64_t outputs,
                         const std::optional<at::Tensor>& bias) {
  const at::Tensor rows = as_rows(input);
  at::Tensor result = at::empty({rows.size(0), outputs}, input.options());
  const at::Tensor bias_f32 = bias.has_value() ? bias->to(at::kFloat).contiguous() : at::Tensor();
  multiply(rows, packed, {.bias = bias_f32.defined() ? bias_f32.const_data_ptr<float>() : nullptr}, result);
  return result.view(with_last_size(input.sizes(), outputs));
}

struct Linear : torch::autograd::Function<Linear> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias) {
    const at::AutoDispatchBelowADInplaceOrView below;
    context->save_for_backward({input, weight});
    context->saved_data["bias"] = bias.has_value();
    return kernel_applies(input, weight)
               ? packed_linear(input, pack_weight(weight, input.scalar_type()), weight.size(0), bias)
               : at::linear(input, weight, bias);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &input = saved[0], &weight = saved[1];
    const bool with_bias = context->saved_data["bias"].toBool() && context->needs_input_grad(2);
    at::Tensor input_gradient, weight_gradient, bias_gradient;
    // Second derivatives need operators that autograd records.
    if (at::GradMode::is_enabled() || !kernel_applies(input, weight)) {
      const at::Tensor gradient = gradients[0].reshape({-1, weight.size(0)});
      if (context->needs_input_grad(0))
        input_gradient = gradient.mm(weight.to(gradient.scalar_type())).view(input.sizes());
      if (context->needs_input_grad(1))
        weight_gradient = gradient.t().mm(input.reshape({-1, weight.size(1)})).to(weight.scalar_type());
      if (with_bias)
        bias_gradient = (at::GradMode::is_enabled() ? gradient.sum(0) : column_sums(gradient.contiguous()))
                            .to(weight.scalar_type());
      return {input_gradient, weight_gradient, bias_gradient};
    }
    const at::Tensor gradient = as_rows(gradients[0]);
    if (context->needs_input_grad(0))
      input_gradient = products::input_gradient(gradient, weight, input.scalar_type()).view(input.sizes());
    if (context->needs_input_grad(1)) {
      products::WeightGradient found;
      products::add_weight_gradient(gradient, as_rows(input), found);
      weight_gradient = found.weight.to(weight.scalar_type());
      if (with_bias) bias_gradient = found.bias;
    }
    if (with_bias)
      bias_gradient = (bias_gradient.defined() ? bias_gradient : column_sums(gradient)).to(weight.scalar_type());
    return {input_gradient, weight_gradient, bias_gradient};
  }
};

/// Rounds float32 weights for a bfloat16 input, here or in the kernel; their gradients are float32.
at::Tensor linear_entry(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias) {
  const bool mixed = input.scalar_type() == at::kBFloat16 && weight.scalar_type() == at::kFloat;
  const bool valid =
      input.dim() >= 2 && weight.dim() == 2 && input.size(-1) == weight.size(1) && is_f32_or_bf16(input) &&
      is_f32_or_bf16(weight) && (mixed || input.scalar_type() == weight.scalar_type()) &&
      (!bias.has_value() ||
       (bias->dim() == 1 && bias->size(0) == weight.size(0) && bias->scalar_type() == weight.scalar_type()));
  if (valid && kernel_applies(input, weight)) {
    return at::GradMode::is_enabled()
               ? Linear::apply(input, weight, bias)
               : packed_linear(input, pack_weight(weight, input.scalar_type()), weight.size(0), bias);
  }
  if (valid && mixed)
    return linear_entry(input, weight.to(at::kBFloat16),
                        bias.has_value() ? std::optional(bias->to(at::kBFloat16)) : std::nullopt);
  return valid && at::GradMode::is_enabled() ? Linear::apply(input, weight, bias)
                                             : at::native::linear(input, weight, bias);
}

/// Whether there are kernels for an input of `dtype` on this CPU. With those of bfloat16, aten::linear takes float32
/// weights beside a bfloat16 input without bfloat16 copies of them.
bool linear_has_kernels(at::ScalarType dtype) {
  return (dtype == at::kFloat || dtype == at::kBFloat16) && gemm::kernels(dtype == at::kBFloat16) != nullptr;
}

/// Packs a weight [N × K] once for many products with inputs of `dtype`.
at::Tensor pack_linear(const at::Tensor& weight, at::ScalarType dtype) {
  TORCH_CHECK(dtype == at::kFloat || dtype == at::kBFloat16, "Expected float32 or bfloat16 for dtype but received ",
              dtype);
  const Kernels* const kernels = gemm::kernels(dtype == at::kBFloat16);
  TORCH_CHECK(kernels, "Expected a dtype for which linear_has_kernels() on this CPU, but received ", dtype);
  TORCH_CHECK(
      weight.dim() == 2 && is_f32_or_bf16(weight) && weight.numel() > 0 && weight.size(1) % kernels->cell_elements == 0,
      "Expected a float32 or bfloat16 weight of two dimensions, the second a multiple of ", kernels->cell_elements,
      ", but received ", weight.toString(), " of shape ", weight.sizes());
  return pack_weight(weight.contiguous(), dtype);
}

/// aten::linear with a weight from pack_linear that had `outputs` rows; without autograd.
at::Tensor linear_packed(const at::Tensor& input, const at::Tensor& packed, const std::optional<at::Tensor>& bias,
                         int64_t outputs) {
  const Kernels* const kernels = kernels_for(input);
  TORCH_CHECK(kernels && input.dim() >= 1 && outputs > 0 && is_packed(packed, *kernels, outputs, input.size(-1)),
              "Expected a float32 or bfloat16 input that agrees with the packed weight of ", outputs,
              " outputs but received ", input.toString(), " of shape ", input.sizes());
  return packed_linear(input, packed, outputs, bias);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rfdetr, library) {
  library.def("linear_has_kernels(ScalarType dtype) -> bool", TORCH_FN(linear_has_kernels));
  library.def("pack_linear(Tensor weight, ScalarType dtype) -> Tensor");
  library.impl("pack_linear", c10::DispatchKey::CPU, TORCH_FN(pack_linear));
  library.def("linear_packed(Tensor input, Tensor packed, Tensor? bias, int outputs) -> Tensor");
  library.impl("linear_packed", c10::DispatchKey::CPU, TORCH_FN(linear_packed));
}

TORCH_LIBRARY_IMPL(aten, AutogradCPU, library) { library.impl("linear", TORCH_FN(linear_entry)); }

}  // namespace rfdetr
