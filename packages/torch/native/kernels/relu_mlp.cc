// rfdetr::relu_mlp: linear layers with ReLU between them, [..., K] bfloat16 to [..., N] bfloat16, as one node of the graph. ReLU and its backward happen to the
// elements of a product while they are in registers; of a hidden layer only what ReLU leaves is kept. Composed, each of them reads and writes the widest tensors of the
// decoder once more. Layers that the kernels do not take go through libtorch one after the other, the plain twin, with the same bits.
#include "products.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace rfdetr {

namespace {

using namespace products;

at::Tensor composed(const at::Tensor& input, at::TensorList weights, at::TensorList biases) {
  at::Tensor value = input;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (i > 0) value = value.relu();
    value = at::linear(value, weights[i].to(value.scalar_type()), biases[i].to(value.scalar_type()));
  }
  return value;
}

/// Arguments: input, then the weights, then the biases.
struct ReluMlp : torch::autograd::Function<ReluMlp> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& input, at::TensorList parameters) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const size_t layers = parameters.size() / 2;
    torch::autograd::variable_list saved;  // the input of each layer, then the weights
    at::Tensor value = rows_of(input);
    for (size_t i = 0; i < layers; ++i) {
      const at::Tensor& weight = parameters[i];
      saved.push_back(value);
      at::Tensor next = at::empty({value.size(0), weight.size(0)}, value.options());
      multiply(value, pack_weight(weight), {parameters[layers + i].to(at::kFloat).contiguous(), i + 1 < layers}, next);
      value = next;
    }
    saved.insert(saved.end(), parameters.begin(), parameters.begin() + layers);
    context->save_for_backward(saved);
    return value.view(with_last(input.sizes(), value.size(1)));
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "relu_mlp has no second derivative: take relu_mlp_composed");
    const auto saved = context->get_saved_variables();
    const size_t layers = saved.size() / 2;
    torch::autograd::variable_list results(1 + 2 * layers);
    at::Tensor gradient = rows_of(gradients[0]);
    for (size_t i = layers; i-- > 0;) {
      const at::Tensor &value = saved[i], &weight = saved[layers + i];
      at::Tensor sums;
      if (context->needs_input_grad(1 + i) || context->needs_input_grad(1 + layers + i)) {
        results[1 + i] = weight_gradient(gradient, value, &sums).to(weight.scalar_type());
        results[1 + layers + i] = sums.to(weight.scalar_type());
      }
      if (i > 0) gradient = input_gradient(gradient, weight, at::kBFloat16, {{}, false, value});
      else if (context->needs_input_grad(0)) results[0] = input_gradient(gradient, weight, at::kBFloat16).view(with_last(gradients[0].sizes(), weight.size(1)));
    }
    return results;
  }
};

at::Tensor relu_mlp(const at::Tensor& input, at::TensorList weights, at::TensorList biases) {
  TORCH_CHECK(!weights.empty() && weights.size() == biases.size(), "Expected as many biases as weights but received ", weights.size(), " weights and ", biases.size(), " biases");
  bool fits = input.dim() >= 2 && input.device().is_cpu();
  for (size_t i = 0; fits && i < weights.size(); ++i) {
    fits = plain(weights[i]) && weights[i].dim() == 2 && weights[i].scalar_type() == weights[0].scalar_type() && biases[i].scalar_type() == weights[0].scalar_type() && biases[i].dim() == 1 &&
           biases[i].size(0) == weights[i].size(0) && weights[i].size(1) == (i == 0 ? input.size(-1) : weights[i - 1].size(0));
    fits = fits && weights[i].is_contiguous() && weights[i].size(1) % 2 == 0 && weights[i].numel() > 0;
  }
  fits = fits && fit(input, weights[0]);
  if (!fits) return composed(input, weights, biases);
  std::vector<at::Tensor> parameters = weights.vec();
  parameters.insert(parameters.end(), biases.begin(), biases.end());
  return ReluMlp::apply(input, at::TensorList(parameters));
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rfdetr, library) {
  library.def("relu_mlp(Tensor input, Tensor[] weights, Tensor[] biases) -> Tensor");
  library.impl("relu_mlp", c10::DispatchKey::CompositeImplicitAutograd, TORCH_FN(relu_mlp));
  library.def("relu_mlp_composed(Tensor input, Tensor[] weights, Tensor[] biases) -> Tensor");
  library.impl("relu_mlp_composed", c10::DispatchKey::CompositeImplicitAutograd, TORCH_FN(composed));
}

}  // namespace rfdetr
