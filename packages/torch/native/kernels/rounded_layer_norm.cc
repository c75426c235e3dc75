// compile: -O3 -fno-trapping-math
// rfdetr::rounded_layer_norm: layer normalisation (Ba et al. 2016, arXiv:1607.06450) of the last axis for mixed
// precision: float32 or bfloat16 to float32, and the same rounded to bfloat16, which is what the next product reads and
// keeps.
//
// Backward needs the normalised values. libtorch keeps the float32 input for them. Here they come from what is kept
// anyway: from the bfloat16 result, (y − bias) / weight, or from a bfloat16 input. Besides, each row keeps its
// reciprocal deviation. Where a bias is large beside its weight, or the weight is zero, y does not tell the value: of
// such channels the normalised values are kept in bfloat16. Either way they carry an error of one rounding to bfloat16,
// as the gradients do that they are multiplied with.
//
// rfdetr::grouped_layer_norm: a layer norm for each group of [groups, N, size], in the dtype of its input.
#include "autograd_function.h"
#include "isa.h"
#include "layer_norm_rows.h"
#include "parallel.h"

#include <ATen/ATen.h>
#include <torch/library.h>

namespace rfdetr::layer_norm {

namespace {

// A function for one CPU cannot be a template.
#define ROW_FUNCTION(name, function, T)                                                     \
  WITH_AVX512 void name##_wide(const Problem& p, const Rows& rows, float* scratch) {        \
    Vectors<16>::function<T>(p, rows, scratch);                                             \
  }                                                                                         \
  EVERY_CPU void name##_narrow(const Problem& p, const Rows& rows, float* scratch) {        \
    Vectors<8>::function<T>(p, rows, scratch);                                              \
  }                                                                                         \
  void name(const Problem& p, const Rows& rows, float* scratch) {                           \
    isa() >= Isa::avx512 ? name##_wide(p, rows, scratch) : name##_narrow(p, rows, scratch); \
  }
ROW_FUNCTION(forward_f32, forward_rows, float)
ROW_FUNCTION(forward_bf16, forward_rows, uint16_t)
ROW_FUNCTION(backward_f32, backward_rows, float)
ROW_FUNCTION(backward_bf16, backward_rows, uint16_t)
#undef ROW_FUNCTION

/// Runs `body(p, rows, scratch)` for the blocks of rows of all groups.
template <class Body>
void over_blocks(const Problem& p, Body&& body) {
  const int64_t blocks = p.affine.groups * p.blocks_of_group();
  parallel_for(0, blocks, std::max<int64_t>(1, (1 << 15) / (p.size * block)), [&](int64_t first, int64_t last) {
    std::vector<float> scratch(3 * padded(p.size));
    for (int64_t i = first; i < last; ++i) body(p, Rows(p, i), scratch.data());
  });
}

Affine affine_of(const at::Tensor& weight, const at::Tensor& bias) {
  return {weight.const_data_ptr<float>(), bias.const_data_ptr<float>(), weight.dim() == 2 ? weight.size(0) : 1,
          weight.size(-1)};
}

uint16_t* bf16(const at::Tensor& tensor) { return static_cast<uint16_t*>(tensor.data_ptr()); }

struct RoundedLayerNorm : torch::autograd::Function<RoundedLayerNorm> {
  static variable_list forward(AutogradContext* context, const at::Tensor& input_in, const at::Tensor& weight,
                               const at::Tensor& bias, double eps) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const at::Tensor input = input_in.contiguous();
    const bool from_input = input.scalar_type() == at::kBFloat16;
    const Affine affine = affine_of(weight, bias);
    const int64_t size = input.size(-1), rows = input.numel() / size;
    const auto kept = static_cast<int64_t>(affine.kept.size());
    const auto f32 = input.options().dtype(at::kFloat), half = input.options().dtype(at::kBFloat16);
    at::Tensor out = at::empty(input.sizes(), f32), low = at::empty(input.sizes(), half);
    at::Tensor deviations = at::empty({rows}, f32), means = at::empty({from_input ? rows : 0}, f32);
    at::Tensor normal = at::empty({from_input ? 0 : rows, kept}, half);
    Problem p{.affine = affine, .rows = rows, .size = size, .eps = static_cast<float>(eps)};
    p.input = input.const_data_ptr();
    p.out = out.data_ptr<float>();
    p.low = bf16(low);
    p.kept = from_input ? nullptr : bf16(normal);
    p.means = from_input ? means.data_ptr<float>() : nullptr;
    p.deviations = deviations.data_ptr<float>();
    over_blocks(p, from_input ? forward_bf16 : forward_f32);
    context->set_materialize_grads(false);
    context->save_for_backward({from_input ? input : low, weight, bias, deviations, means, normal});
    return {out, low};
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    TORCH_CHECK(!at::GradMode::is_enabled(),
                "rfdetr::rounded_layer_norm has no second derivative: call rfdetr::rounded_layer_norm_composed");
    const auto saved = context->get_saved_variables();
    const at::Tensor &values = saved[0], &weight = saved[1], &bias = saved[2], &means = saved[4];
    const bool from_input = means.numel() > 0;
    const Affine affine = affine_of(weight, bias);
    const int64_t size = values.size(-1), rows = values.numel() / size, groups = affine.groups;
    const at::Tensor wide = gradients[0].defined() ? gradients[0].contiguous() : at::Tensor();
    const at::Tensor low = gradients[1].defined() ? gradients[1].contiguous() : at::Tensor();
    at::Tensor input_gradient = context->needs_input_grad(0)
                                    ? at::empty(values.sizes(), from_input ? values.options() : saved[3].options())
                                    : at::Tensor();
    Problem p{.affine = affine, .rows = rows, .size = size, .eps = 0};
    at::Tensor sums = at::zeros({groups, p.blocks_of_group(), 2, padded(size)}, saved[3].options());
    p.input = values.const_data_ptr();
    p.low = bf16(values);
    p.kept = bf16(saved[5]);
    p.means = means.data_ptr<float>();
    p.deviations = saved[3].data_ptr<float>();
    p.gradient = wide.defined() ? wide.const_data_ptr<float>() : nullptr;
    p.low_gradient = low.defined() ? bf16(low) : nullptr;
    p.input_gradient = input_gradient.defined() ? input_gradient.data_ptr() : nullptr;
    p.sums = sums.data_ptr<float>();
    p.from_input = from_input;
    over_blocks(p, from_input ? backward_bf16 : backward_f32);
    const at::Tensor both = sums.sum(1).narrow(2, 0, size);
    return {input_gradient, both.select(1, 0).reshape(weight.sizes()), both.select(1, 1).reshape(weight.sizes()),
            at::Tensor()};
  }
};

/// float32 or wider. `weight` and `bias` are [size], or [groups, size] for an input [groups, N, size].
at::Tensor normed(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, double eps) {
  if (weight.dim() == 1) return at::layer_norm(input, weight.sizes(), weight, bias, eps);
  const at::Tensor plain = at::layer_norm(input, {weight.size(1)}, {}, {}, eps);
  return at::addcmul(bias.unsqueeze(1), plain, weight.unsqueeze(1));
}

std::tuple<at::Tensor, at::Tensor> composed(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                                            double eps) {
  const auto dtype = at::promote_types(input.scalar_type(), at::kFloat);
  const at::Tensor out = normed(input.to(dtype), weight.to(dtype), bias.to(dtype), eps);
  return {out, out.to(at::kBFloat16)};
}

at::Tensor grouped_layer_norm(const at::Tensor& input, at::TensorList weights, at::TensorList biases, double eps) {
  return normed(input, at::stack(weights), at::stack(biases), eps);
}

std::tuple<at::Tensor, at::Tensor> rounded_layer_norm(const at::Tensor& input, const at::Tensor& weight,
                                                      const at::Tensor& bias, double eps) {
  const bool grouped = weight.dim() == 2 && input.dim() == 3 && input.size(0) == weight.size(0);
  TORCH_CHECK(input.dim() > 0 && (weight.dim() == 1 || grouped) && bias.sizes() == weight.sizes() &&
                  input.size(-1) == weight.size(-1) && input.is_floating_point(),
              "Expected weight and bias of the length of the last axis, or one of each for every group, but received "
              "input ",
              input.sizes(), ", weight ", weight.sizes(), " and bias ", bias.sizes());
  const bool kernel_applies = input.device().is_cpu() && input.numel() > 0 &&
                              (input.scalar_type() == at::kFloat || input.scalar_type() == at::kBFloat16) &&
                              weight.scalar_type() == at::kFloat && bias.scalar_type() == at::kFloat &&
                              weight.is_contiguous() && bias.is_contiguous();
  if (!kernel_applies) return composed(input, weight, bias, eps);
  const auto results = RoundedLayerNorm::apply(input, weight, bias, eps);
  return {results[0], results[1]};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rfdetr, library) {
  library.def("rounded_layer_norm(Tensor input, Tensor weight, Tensor bias, float eps) -> (Tensor, Tensor)",
              TORCH_FN(rounded_layer_norm));
  library.def("rounded_layer_norm_composed(Tensor input, Tensor weight, Tensor bias, float eps) -> (Tensor, Tensor)",
              TORCH_FN(composed));
  library.def("grouped_layer_norm(Tensor input, Tensor[] weights, Tensor[] biases, float eps) -> Tensor",
              TORCH_FN(grouped_layer_norm));
}

}  // namespace rfdetr::layer_norm
