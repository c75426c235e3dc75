// rfdetr::mlp: linear layers with an activation between them, bfloat16 [..., K] to bfloat16 [..., N], as one node of
// the graph. ReLU, GELU and their derivatives are epilogues of the products. Of a hidden layer one tensor is saved: the
// result of ReLU, or the input of GELU, from which backward computes the result again. Composed from operators, the
// widest tensors of the model are read and written several times more, and GELU saves both. Layers that the kernels do
// not take go through libtorch one after the other.
//
// rfdetr::gelu is the same GELU as an operator, with the same bits.
#include "products.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace rfdetr {

namespace {

using namespace products;

Activation activation_of(const std::string& name) {
  TORCH_CHECK(name == "relu" || name == "gelu", "Expected relu or gelu for activation but received ", name);
  return name == "relu" ? Activation::relu : Activation::gelu;
}

struct Gelu : torch::autograd::Function<Gelu> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& input) {
    const at::AutoDispatchBelowADInplaceOrView below;
    context->save_for_backward({input});
    return products::gelu(input);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const at::Tensor input = context->get_saved_variables()[0];
    return {at::GradMode::is_enabled() ? at::gelu_backward(gradients[0], input)
                                       : products::gelu_backward(gradients[0], input)};
  }
};

at::Tensor gelu_entry(const at::Tensor& input) {
  static const bool supported = gemm::supported();
  const bool kernel_applies =
      supported && input.device().is_cpu() && input.scalar_type() == at::kBFloat16 && input.layout() == at::kStrided;
  return kernel_applies ? Gelu::apply(input) : at::gelu(input);
}

at::Tensor composed(const at::Tensor& input, at::TensorList weights, at::TensorList biases, const std::string& name) {
  const Activation activation = activation_of(name);
  at::Tensor value = input;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (i > 0) value = activation == Activation::relu ? value.relu() : gelu_entry(value);
    value = at::linear(value, weights[i].to(value.scalar_type()), biases[i].to(value.scalar_type()));
  }
  return value;
}

/// Arguments: input, then the weights, then the biases.
struct Mlp : torch::autograd::Function<Mlp> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& input,
                            at::TensorList parameters, int64_t activation_number) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto activation = static_cast<Activation>(activation_number);
    const size_t layers = parameters.size() / 2;
    torch::autograd::variable_list saved;  // for each layer its input, or what GELU made it from; then the weights
    at::Tensor value = as_rows(input);
    saved.push_back(value);
    for (size_t i = 0; i < layers; ++i) {
      const at::Tensor& weight = parameters[i];
      const bool hidden = i + 1 < layers;
      at::Tensor next = at::empty({value.size(0), weight.size(0)}, value.options());
      const at::Tensor bias = parameters[layers + i].to(at::kFloat).contiguous();
      const at::Tensor pre_activation = hidden && activation == Activation::gelu ? at::empty_like(next) : at::Tensor();
      Epilogue epilogue{.bias = bias.const_data_ptr<float>()};
      if (hidden) epilogue.activation = activation;
      if (pre_activation.defined()) epilogue.pre_activation = bf16_data(pre_activation);
      multiply(value, pack_weight(weight), epilogue, next);
      value = next;
      if (hidden) saved.push_back(pre_activation.defined() ? pre_activation : value);
    }
    saved.insert(saved.end(), parameters.begin(), parameters.begin() + layers);
    context->save_for_backward(saved);
    context->saved_data["activation"] = activation_number;
    return value.view(with_last_size(input.sizes(), value.size(1)));
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "rfdetr::mlp has no second derivative: call rfdetr::mlp_composed instead");
    const auto saved = context->get_saved_variables();
    const auto activation = static_cast<Activation>(context->saved_data["activation"].toInt());
    const size_t layers = saved.size() / 2;
    torch::autograd::variable_list results(2 + 2 * layers);
    at::Tensor gradient = as_rows(gradients[0]);
    for (size_t i = layers; i-- > 0;) {
      const at::Tensor &kept = saved[i], &weight = saved[layers + i];
      if (context->needs_input_grad(1 + i) || context->needs_input_grad(1 + layers + i)) {
        const at::Tensor layer_input = i > 0 && activation == Activation::gelu ? products::gelu(kept) : kept;
        at::Tensor sums;
        results[1 + i] = weight_gradient(gradient, layer_input, &sums).to(weight.scalar_type());
        results[1 + layers + i] = sums.to(weight.scalar_type());
      }
      if (i > 0) {
        const Epilogue epilogue{.derivative_of = activation, .derivative_at = bf16_data(kept)};
        gradient = input_gradient(gradient, weight, at::kBFloat16, epilogue);
      } else if (context->needs_input_grad(0)) {
        results[0] =
            input_gradient(gradient, weight, at::kBFloat16).view(with_last_size(gradients[0].sizes(), weight.size(1)));
      }
    }
    return results;
  }
};

bool kernel_applies(const at::Tensor& input, at::TensorList weights, at::TensorList biases) {
  if (input.dim() < 2 || !input.device().is_cpu()) return false;
  const auto dtype = weights[0].scalar_type();
  for (size_t i = 0; i < weights.size(); ++i) {
    const at::Tensor &weight = weights[i], &bias = biases[i];
    if (!is_f32_or_bf16(weight) || weight.scalar_type() != dtype || bias.scalar_type() != dtype) return false;
    if (weight.dim() != 2 || bias.dim() != 1 || bias.size(0) != weight.size(0)) return false;
    if (weight.size(1) != (i == 0 ? input.size(-1) : weights[i - 1].size(0))) return false;
    if (!weight.is_contiguous() || weight.size(1) % 2 != 0 || weight.numel() == 0) return false;
  }
  return products::kernel_applies(input, weights[0]);
}

at::Tensor mlp(const at::Tensor& input, at::TensorList weights, at::TensorList biases, const std::string& name) {
  TORCH_CHECK(!weights.empty() && weights.size() == biases.size(), "Expected as many biases as weights but received ",
              weights.size(), " weights and ", biases.size(), " biases");
  const Activation activation = activation_of(name);
  if (!kernel_applies(input, weights, biases)) return composed(input, weights, biases, name);
  std::vector<at::Tensor> parameters = weights.vec();
  parameters.insert(parameters.end(), biases.begin(), biases.end());
  return Mlp::apply(input, at::TensorList(parameters), static_cast<int64_t>(activation));
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rfdetr, library) {
  library.def("gelu(Tensor input) -> Tensor");
  library.impl("gelu", c10::DispatchKey::CompositeImplicitAutograd, TORCH_FN(gelu_entry));
  library.def("mlp(Tensor input, Tensor[] weights, Tensor[] biases, str activation) -> Tensor");
  library.impl("mlp", c10::DispatchKey::CompositeImplicitAutograd, TORCH_FN(mlp));
  library.def("mlp_composed(Tensor input, Tensor[] weights, Tensor[] biases, str activation) -> Tensor");
  library.impl("mlp_composed", c10::DispatchKey::CompositeImplicitAutograd, TORCH_FN(composed));
}

}  // namespace rfdetr
