// compile: -O3 -fno-math-errno -fno-trapping-math
// aten::linear on the CPU as one node of the graph. Forward and both products of backward are libtorch's own; the bias gradient is a column sum, for which
// libtorch's reduction takes three times as long in bfloat16, and views, transposes and their nodes fall away. Everything but plain float32 and bfloat16
// goes through libtorch's composition, the plain twin.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/ops/linear_native.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#if defined(__x86_64__) && defined(__gnu_linux__)
#define EVERY_CPU __attribute__((target_clones("avx512f", "arch=x86-64-v3", "default")))
#else
#define EVERY_CPU
#endif

namespace rfdetr {

namespace {

constexpr int64_t block = 256;     // columns that one pass over the rows sums
constexpr int64_t rows_at_once = 4;

/// Rows are summed by 64 before they join the total: short sums round less.
template <class T>
inline __attribute__((always_inline)) void sum_columns(const T* from, int64_t rows, int64_t stride, int64_t columns, T* to) {
  float total[block] = {};
  for (int64_t begin = 0; begin < rows; begin += 64) {
    float part[block] = {};
    const int64_t end = std::min<int64_t>(begin + 64, rows);
    int64_t r = begin;
    for (; r + rows_at_once <= end; r += rows_at_once) {
      const T *first = from + r * stride, *second = first + stride, *third = second + stride, *fourth = third + stride;
      for (int64_t c = 0; c < columns; ++c) part[c] += (static_cast<float>(first[c]) + static_cast<float>(second[c])) + (static_cast<float>(third[c]) + static_cast<float>(fourth[c]));
    }
    for (; r < end; ++r)
      for (int64_t c = 0; c < columns; ++c) part[c] += static_cast<float>(from[r * stride + c]);
    for (int64_t c = 0; c < columns; ++c) total[c] += part[c];
  }
  for (int64_t c = 0; c < columns; ++c) to[c] = static_cast<T>(total[c]);
}

EVERY_CPU void sum_block(const float* from, int64_t rows, int64_t stride, int64_t columns, float* to) { sum_columns(from, rows, stride, columns, to); }
EVERY_CPU void sum_block(const at::BFloat16* from, int64_t rows, int64_t stride, int64_t columns, at::BFloat16* to) { sum_columns(from, rows, stride, columns, to); }

/// Sums over the rows of a contiguous matrix, in one order whatever the thread count.
template <class T>
at::Tensor column_sums(const at::Tensor& matrix) {
  const int64_t rows = matrix.size(0), columns = matrix.size(1);
  at::Tensor sums = at::empty({columns}, matrix.options());
  const T* from = matrix.const_data_ptr<T>();
  T* to = sums.data_ptr<T>();
  at::parallel_for(0, (columns + block - 1) / block, std::max<int64_t>(1, (1 << 16) / (rows * block)), [&](int64_t first, int64_t last) {
    for (int64_t i = first * block; i < std::min(last * block, columns); i += block) sum_block(from + i, rows, columns, std::min(block, columns - i), to + i);
  });
  return sums;
}

bool plain(const at::Tensor& t) { return (t.scalar_type() == at::kFloat || t.scalar_type() == at::kBFloat16) && t.layout() == at::kStrided; }

struct Linear : torch::autograd::Function<Linear> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias) {
    const at::AutoDispatchBelowADInplaceOrView below;
    context->save_for_backward({input, weight});
    context->saved_data["bias"] = bias.has_value();
    return at::linear(input, weight, bias);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &input = saved[0], &weight = saved[1];
    const at::Tensor gradient = gradients[0].reshape({-1, weight.size(0)});
    at::Tensor input_gradient, weight_gradient, bias_gradient;
    if (context->needs_input_grad(0)) input_gradient = gradient.mm(weight).view(input.sizes());
    if (context->needs_input_grad(1)) weight_gradient = gradient.t().mm(input.reshape({-1, weight.size(1)}));
    if (context->saved_data["bias"].toBool() && context->needs_input_grad(2)) {
      // A graph of the gradients themselves needs operators that record.
      if (at::GradMode::is_enabled() || gradient.numel() == 0) bias_gradient = gradient.sum(0);
      else bias_gradient = gradient.scalar_type() == at::kFloat ? column_sums<float>(gradient.contiguous()) : column_sums<at::BFloat16>(gradient.contiguous());
    }
    return {input_gradient, weight_gradient, bias_gradient};
  }
};

at::Tensor linear(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias) {
  const bool fits = input.dim() >= 2 && weight.dim() == 2 && plain(input) && input.scalar_type() == weight.scalar_type() && (!bias.has_value() || (bias->dim() == 1 && bias->scalar_type() == weight.scalar_type()));
  return fits && at::GradMode::is_enabled() ? Linear::apply(input, weight, bias) : at::native::linear(input, weight, bias);
}

}  // namespace

TORCH_LIBRARY_IMPL(aten, AutogradCPU, library) { library.impl("linear", TORCH_FN(linear)); }

}  // namespace rfdetr
