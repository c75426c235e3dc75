// rfdetr::grouped_linear: a linear layer for each group, as in the query selection of Group DETR: float32 [groups, N,
// K] to float32 [groups, N, O].
//
// `split` is for mixed precision. On CPUs that multiply pairs of bfloat16, forward sums three products of them (hi·hi +
// hi·lo + lo·hi) in float32: sixteen bits of each factor instead of eight, at a third of the speed of bfloat16, which
// is twice that of float32; on other CPUs it multiplies in float32. Backward rounds gradients and operands to bfloat16,
// as all layers do in mixed precision, and returns float32; it stays in float32 where there are no kernels of bfloat16.
// Without `split` everything is float32. On other devices and dtypes it is libtorch's batched product.
#include "autograd_function.h"
#include "isa.h"
#include "products.h"

#include <ATen/ATen.h>
#include <torch/library.h>

namespace rfdetr {

namespace {

using namespace products;

at::Tensor composed(const at::Tensor& input, at::TensorList weights, at::TensorList biases) {
  const int64_t groups = static_cast<int64_t>(weights.size());
  const at::Tensor each = input.size(0) == groups ? input : input.expand({groups, -1, -1});
  return at::baddbmm(at::stack(biases).unsqueeze(1), each, at::stack(weights).transpose(1, 2));
}

bool grouped_linear_applies(const at::Tensor& input, at::TensorList weights, at::TensorList biases) {
  if (!gemm::kernels(false) || input.scalar_type() != at::kFloat || !input.device().is_cpu() || input.numel() == 0)
    return false;
  for (const auto list : {weights, biases})
    for (const at::Tensor& tensor : list)
      if (tensor.scalar_type() != at::kFloat || !tensor.is_contiguous()) return false;
  return true;
}

/// `input` has one entry for each group, or one for all groups.
at::Tensor multiply_groups(const at::Tensor& input, at::TensorList weights, at::TensorList biases, bool split) {
  const int64_t groups = static_cast<int64_t>(weights.size()), rows = input.size(1);
  const bool pairs = split && pairs_pay() && input.size(2) % 2 == 0;
  const at::Tensor operand = pairs ? split_input(as_rows(input)) : as_rows(input);
  at::Tensor out = at::empty({groups, rows, weights[0].size(0)}, input.options());
  for (int64_t g = 0; g < groups; ++g) {
    at::Tensor part = out.select(0, g);
    multiply(input.size(0) == 1 ? operand : operand.narrow(0, g * rows, rows),
             pairs ? pack_split_weight(weights[g]) : pack_weight(weights[g], at::kFloat),
             {.bias = biases[g].const_data_ptr<float>()}, part);
  }
  return out;
}

/// Arguments: input, then the weights, then the biases.
struct GroupedLinear : torch::autograd::Function<GroupedLinear> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, at::TensorList parameters, bool split) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const size_t groups = parameters.size() / 2;
    const at::TensorList weights = parameters.slice(0, groups);
    variable_list saved = weights.vec();
    saved.push_back(input);
    context->save_for_backward(saved);
    context->saved_data["split"] = split;
    return multiply_groups(input, weights, parameters.slice(groups), split);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const size_t groups = saved.size() - 1;
    const bool split = context->saved_data["split"].toBool(), shared = saved.back().size(0) == 1;
    variable_list results(2 + 2 * groups);
    if (at::GradMode::is_enabled()) {  // second derivatives need operators that autograd records
      const at::Tensor stacked = at::stack(at::TensorList(saved).slice(0, groups));
      results[0] = gradients[0].bmm(stacked);
      if (shared) results[0] = results[0].sum(0, true);
      for (size_t g = 0; g < groups; ++g) {
        results[1 + g] = gradients[0].select(0, g).t().mm(saved.back().select(0, shared ? 0 : g));
        results[1 + groups + g] = gradients[0].select(0, g).sum(0);
      }
      return results;
    }
    const at::Tensor input = saved.back().contiguous();
    const bool rounds = split && gemm::kernels(true);
    const at::Tensor gradient = gradients[0].to(rounds ? at::kBFloat16 : at::kFloat).contiguous();
    std::vector<at::Tensor> input_gradients;
    for (size_t g = 0; g < groups; ++g) {
      const at::Tensor rows = gradient.select(0, g);
      if (context->needs_input_grad(0)) input_gradients.push_back(input_gradient(rows, saved[g], at::kFloat));
      WeightGradient found;
      add_weight_gradient(rows, input.select(0, shared ? 0 : g), found);
      results[1 + g] = found.weight;
      results[1 + groups + g] = found.bias;
    }
    if (!input_gradients.empty()) {
      results[0] = at::stack(input_gradients);
      if (shared) results[0] = results[0].sum(0, true);
    }
    return results;
  }
};

at::Tensor grouped_linear(const at::Tensor& input, at::TensorList weights, at::TensorList biases, bool split) {
  const int64_t groups = static_cast<int64_t>(weights.size());
  TORCH_CHECK(groups > 0 && static_cast<int64_t>(biases.size()) == groups && input.dim() == 3 &&
                  (input.size(0) == groups || input.size(0) == 1),
              "Expected an input [groups or 1, N, K] and as many biases as weights but received input ", input.sizes(),
              ", ", groups, " weights and ", biases.size(), " biases");
  for (int64_t g = 0; g < groups; ++g)
    TORCH_CHECK(weights[g].sizes() == weights[0].sizes() && weights[g].dim() == 2 &&
                    weights[g].size(1) == input.size(2) && biases[g].dim() == 1 &&
                    biases[g].size(0) == weights[g].size(0),
                "Expected weights [O, ", input.size(2), "] and biases [O] of one size but received ",
                weights[g].sizes(), " and ", biases[g].sizes());
  if (!grouped_linear_applies(input, weights, biases)) return composed(input, weights, biases);
  if (!at::GradMode::is_enabled()) return multiply_groups(input, weights, biases, split);
  std::vector<at::Tensor> parameters = weights.vec();
  parameters.insert(parameters.end(), biases.begin(), biases.end());
  return GroupedLinear::apply(input, at::TensorList(parameters), split);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rfdetr, library) {
  library.def("grouped_linear(Tensor input, Tensor[] weights, Tensor[] biases, bool split) -> Tensor",
              TORCH_FN(grouped_linear));
}

}  // namespace rfdetr
