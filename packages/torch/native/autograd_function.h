// What functions with a backward of their own are made of.
#pragma once
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

namespace rfdetr {

using torch::autograd::AutogradContext, torch::autograd::variable_list;

/// The gradients of `inputs`, at the start of `count` results, by operators that autograd recorded for `out`: for
/// second derivatives. Undefined for inputs that need none.
inline variable_list recorded_gradients(const at::Tensor& out, at::TensorList inputs, const at::Tensor& gradient,
                                        size_t count) {
  variable_list wanted, results(count);
  for (const at::Tensor& input : inputs)
    if (input.requires_grad()) wanted.push_back(input);
  const variable_list found = torch::autograd::grad({out}, wanted, {gradient}, true, true);
  for (size_t i = 0, next = 0; i < inputs.size(); ++i)
    if (inputs[i].requires_grad()) results[i] = found[next++];
  return results;
}

}  // namespace rfdetr
