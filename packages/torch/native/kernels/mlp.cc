// rfdetr::mlp: linear layers with an activation between them, [..., K] to [..., N], float32 or bfloat16, as one node of
// the graph. ReLU, GELU and their derivatives are epilogues of the products. Of a hidden layer one tensor is saved: the
// result of ReLU, or the input of GELU, from which backward computes the result again. Composed from operators, the
// widest tensors of the model are read and written several times more, and GELU saves both. Layers that the kernels do
// not take go through libtorch one after the other.
//
// rfdetr::gelu is the same GELU as an operator, with the same bits.
#include "autograd_function.h"
#include "products.h"

#include <ATen/ATen.h>
#include <torch/library.h>

namespace rfdetr {

namespace {

using namespace products;

Activation activation_of(const std::string& name) {
  TORCH_CHECK(name == "relu" || name == "gelu", "Expected relu or gelu for activation but received ", name);
  return name == "relu" ? Activation::relu : Activation::gelu;
}

struct Gelu : torch::autograd::Function<Gelu> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input) {
    const at::AutoDispatchBelowADInplaceOrView below;
    context->save_for_backward({input});
    return products::gelu(input);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::Tensor input = context->get_saved_variables()[0];
    return {at::GradMode::is_enabled() ? at::gelu_backward(gradients[0], input)
                                       : products::gelu_backward(gradients[0], input)};
  }
};

at::Tensor gelu_entry(const at::Tensor& input) {
  return activation_applies(input) ? Gelu::apply(input) : at::gelu(input);
}

at::Tensor composed(const at::Tensor& input, at::TensorList weights, at::TensorList biases, Activation activation) {
  at::Tensor value = input;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (i > 0) value = activation == Activation::relu ? value.relu() : gelu_entry(value);
    value = at::linear(value, weights[i].to(value.scalar_type()), biases[i].to(value.scalar_type()));
  }
  return value;
}

/// Calls body(first, count) for parts of the rows, so that no hidden layer is there as a whole.
template <class Body>
void for_parts(int64_t rows, Body&& body) {
  constexpr int64_t part = 8 * products::rows_at_once;
  for (int64_t row = 0; row < rows; row += part) body(row, std::min(part, rows - row));
}

/// Arguments: input, then the weights, then the biases.
struct Mlp : torch::autograd::Function<Mlp> {
  /// Runs the first `count` layers on `value`, and returns what backward needs of each hidden one: the result of ReLU,
  /// or the input of GELU. The last layer writes to `out` if it is defined.
  static variable_list run(at::Tensor& value, at::TensorList parameters, Activation activation, size_t count,
                           const at::Tensor& out = {}) {
    const size_t layers = parameters.size() / 2;
    variable_list kept;
    for (size_t i = 0; i < count; ++i) {
      const at::Tensor& weight = parameters[i];
      const bool hidden = i + 1 < layers;
      at::Tensor next = hidden || !out.defined() ? at::empty({value.size(0), weight.size(0)}, value.options()) : out;
      const at::Tensor bias = parameters[layers + i].to(at::kFloat).contiguous();
      const at::Tensor pre_activation = hidden && activation == Activation::gelu ? at::empty_like(next) : at::Tensor();
      Epilogue epilogue{.bias = bias.const_data_ptr<float>()};
      if (hidden) epilogue.activation = activation;
      if (pre_activation.defined()) epilogue.pre_activation = pre_activation.data_ptr();
      multiply(value, pack_weight(weight, value.scalar_type()), epilogue, next);
      value = next;
      if (hidden) kept.push_back(pre_activation.defined() ? pre_activation : value);
    }
    return kept;
  }

  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, at::TensorList parameters,
                            int64_t activation_number, bool recompute) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto activation = static_cast<Activation>(activation_number);
    const size_t layers = parameters.size() / 2;
    at::Tensor value = as_rows(input);
    // The input and the parameters, then what each hidden layer keeps.
    variable_list saved = {input};
    saved.insert(saved.end(), parameters.begin(), parameters.end());
    if (recompute) {
      const at::Tensor out = at::empty({value.size(0), parameters[layers - 1].size(0)}, value.options());
      for_parts(value.size(0), [&](int64_t row, int64_t count) {
        at::Tensor part = value.narrow(0, row, count);
        run(part, parameters, activation, layers, out.narrow(0, row, count));
      });
      value = out;
    } else {
      const auto kept = run(value, parameters, activation, layers);
      saved.insert(saved.end(), kept.begin(), kept.end());
    }
    context->save_for_backward(saved);
    context->saved_data["activation"] = activation_number;
    context->saved_data["layers"] = static_cast<int64_t>(layers);
    return value.view(with_last_size(input.sizes(), value.size(1)));
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto activation = static_cast<Activation>(context->saved_data["activation"].toInt());
    const auto layers = static_cast<size_t>(context->saved_data["layers"].toInt());
    const at::TensorList parameters = at::TensorList(saved).slice(1, 2 * layers);
    if (at::GradMode::is_enabled()) return recorded_backward(saved[0], parameters, gradients[0], activation);
    const at::Tensor input = as_rows(saved[0]), gradient = as_rows(gradients[0]);
    const bool wants_input = context->needs_input_grad(0);
    at::Tensor input_gradients = wants_input ? at::empty(input.sizes(), input.options()) : at::Tensor();
    std::vector<WeightGradient> found(layers);
    // The hidden layers of a part and their gradients are all that is there beside what was kept.
    for_parts(input.size(0), [&](int64_t row, int64_t count) {
      at::Tensor value = input.narrow(0, row, count);
      variable_list hidden = {value};
      for (size_t i = 1 + 2 * layers; i < saved.size(); ++i) hidden.push_back(saved[i].narrow(0, row, count));
      if (hidden.size() < layers)
        for (at::Tensor& again : run(value, parameters, activation, layers - 1)) hidden.push_back(std::move(again));
      at::Tensor slope = gradient.narrow(0, row, count);
      for (size_t i = layers; i-- > 0;) {
        const at::Tensor &kept = hidden[i], &weight = parameters[i];
        if (context->needs_input_grad(1 + i) || context->needs_input_grad(1 + layers + i))
          add_weight_gradient(slope, i > 0 && activation == Activation::gelu ? products::gelu(kept) : kept, found[i]);
        if (i > 0) {
          const Epilogue epilogue{.derivative_of = activation, .derivative_at = kept.const_data_ptr()};
          slope = input_gradient(slope, weight, kept.scalar_type(), epilogue);
        } else if (wants_input) {
          input_gradient(slope, weight, kept.scalar_type(), {}, input_gradients.narrow(0, row, count));
        }
      }
    });
    variable_list results(3 + 2 * layers);
    if (wants_input) results[0] = input_gradients.view(with_last_size(gradients[0].sizes(), input.size(1)));
    for (size_t i = 0; i < layers; ++i)
      if (found[i].weight.defined()) {
        const auto dtype = parameters[i].scalar_type();
        results[1 + i] = found[i].weight.to(dtype);
        results[1 + layers + i] = found[i].bias.to(dtype);
      }
    return results;
  }

  /// The gradients from operators that autograd records, for second derivatives.
  static variable_list recorded_backward(const at::Tensor& input, at::TensorList parameters, const at::Tensor& gradient,
                                         Activation activation) {
    const size_t layers = parameters.size() / 2;
    variable_list inputs = {input};
    inputs.insert(inputs.end(), parameters.begin(), parameters.end());
    const at::Tensor out = composed(input, parameters.slice(0, layers), parameters.slice(layers), activation);
    return recorded_gradients(out, inputs, gradient, 3 + 2 * layers);
  }
};

bool mlp_applies(const at::Tensor& input, at::TensorList weights, at::TensorList biases) {
  const Kernels* const kernels = input.dim() < 2 ? nullptr : kernels_for(input);
  if (!kernels) return false;
  const auto dtype = weights[0].scalar_type();
  for (size_t i = 0; i < weights.size(); ++i) {
    const at::Tensor &weight = weights[i], &bias = biases[i];
    if (!is_f32_or_bf16(weight) || weight.scalar_type() != dtype || bias.scalar_type() != dtype) return false;
    if (weight.dim() != 2 || bias.dim() != 1 || bias.size(0) != weight.size(0)) return false;
    if (weight.size(1) != (i == 0 ? input.size(-1) : weights[i - 1].size(0))) return false;
    if (!weight.is_contiguous() || weight.size(1) % kernels->cell_elements != 0 || weight.numel() == 0) return false;
  }
  return products::kernel_applies(input, weights[0]);
}

at::Tensor mlp(const at::Tensor& input, at::TensorList weights, at::TensorList biases, const std::string& name,
               bool recompute) {
  TORCH_CHECK(!weights.empty() && weights.size() == biases.size(), "Expected as many biases as weights but received ",
              weights.size(), " weights and ", biases.size(), " biases");
  const Activation activation = activation_of(name);
  if (!mlp_applies(input, weights, biases)) return composed(input, weights, biases, activation);
  std::vector<at::Tensor> parameters = weights.vec();
  parameters.insert(parameters.end(), biases.begin(), biases.end());
  return Mlp::apply(input, at::TensorList(parameters), static_cast<int64_t>(activation), recompute);
}

at::Tensor mlp_composed(const at::Tensor& input, at::TensorList weights, at::TensorList biases,
                        const std::string& name) {
  return composed(input, weights, biases, activation_of(name));
}

/// rfdetr::mlp with weights from rfdetr::pack_linear that had `outputs` rows; without autograd.
at::Tensor mlp_packed(const at::Tensor& input, at::TensorList packed, at::TensorList biases, at::IntArrayRef outputs,
                      const std::string& name) {
  const Activation activation = activation_of(name);
  const Kernels* const kernels = input.dim() < 1 ? nullptr : kernels_for(input);
  TORCH_CHECK(kernels && !packed.empty() && packed.size() == biases.size() && packed.size() == outputs.size(),
              "Expected a float32 or bfloat16 input and as many biases and outputs as packed weights but received ",
              input.toString(), " of shape ", input.sizes(), ", ", packed.size(), " weights, ", biases.size(),
              " biases and ", outputs.size(), " outputs");
  at::Tensor value = as_rows(input);
  for (size_t i = 0; i < packed.size(); ++i) {
    TORCH_CHECK(is_packed(packed[i], *kernels, outputs[i], value.size(1)) && biases[i].dim() == 1 &&
                    biases[i].size(0) == outputs[i],
                "Expected a packed weight and a bias of ", outputs[i], " outputs for ", value.size(1),
                " inputs but received others in layer ", i);
    at::Tensor next = at::empty({value.size(0), outputs[i]}, input.options());
    const at::Tensor bias = biases[i].to(at::kFloat).contiguous();
    Epilogue epilogue{.bias = bias.const_data_ptr<float>()};
    if (i + 1 < packed.size()) epilogue.activation = activation;
    multiply(value, packed[i], epilogue, next);
    value = next;
  }
  return value.view(with_last_size(input.sizes(), value.size(1)));
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rfdetr, library) {
  library.def("gelu(Tensor input) -> Tensor", TORCH_FN(gelu_entry));
  library.def("mlp(Tensor input, Tensor[] weights, Tensor[] biases, str activation, bool recompute=False) -> Tensor",
              TORCH_FN(mlp));
  library.def("mlp_composed(Tensor input, Tensor[] weights, Tensor[] biases, str activation) -> Tensor",
              TORCH_FN(mlp_composed));
  library.def("mlp_packed(Tensor input, Tensor[] packed, Tensor[] biases, int[] outputs, str activation) -> Tensor");
  library.impl("mlp_packed", c10::DispatchKey::CPU, TORCH_FN(mlp_packed));
}

}  // namespace rfdetr
