// Shapes of operators on meta tensors that libtorch has in Python only. With them a whole training step runs on the
// device `meta`, which has shapes, dtypes and devices and no values: what assumes the CPU shows there without a GPU.
#include <ATen/ATen.h>
#include <ATen/ExpandUtils.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <array>
#include <tuple>

namespace rfdetr {

namespace {

using at::Tensor;

Tensor convolution(const Tensor& input, const Tensor& weight, const std::optional<Tensor>&, at::IntArrayRef stride,
                   at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed, at::IntArrayRef output_padding,
                   int64_t groups) {
  const int64_t channels = transposed ? weight.size(0) : weight.size(1) * groups;
  TORCH_CHECK(input.size(1) == channels, "Expected ", channels, " channels for a convolution but received ",
              input.sizes());
  std::vector<int64_t> sizes{input.size(0), transposed ? weight.size(1) * groups : weight.size(0)};
  for (int64_t i = 0; i < input.dim() - 2; ++i) {
    const int64_t size = input.size(i + 2), window = dilation[i] * (weight.size(i + 2) - 1) + 1;
    sizes.push_back(transposed ? (size - 1) * stride[i] - 2 * padding[i] + window + output_padding[i]
                               : (size + 2 * padding[i] - window) / stride[i] + 1);
  }
  return at::empty(sizes, input.options());
}

std::tuple<Tensor, Tensor, Tensor> convolution_backward(const Tensor&, const Tensor& input, const Tensor& weight,
                                                        at::OptionalIntArrayRef, at::IntArrayRef, at::IntArrayRef,
                                                        at::IntArrayRef, bool, at::IntArrayRef, int64_t,
                                                        std::array<bool, 3> wanted) {
  return {wanted[0] ? at::empty_like(input) : Tensor(), wanted[1] ? at::empty_like(weight) : Tensor(),
          wanted[2] ? at::empty({weight.size(0)}, weight.options()) : Tensor()};
}

std::tuple<Tensor, Tensor, Tensor> native_layer_norm(const Tensor& input, at::IntArrayRef shape,
                                                     const std::optional<Tensor>&, const std::optional<Tensor>&,
                                                     double) {
  std::vector<int64_t> rows = input.sizes().vec();
  for (size_t i = rows.size() - shape.size(); i < rows.size(); ++i) rows[i] = 1;
  const auto statistics = input.options().dtype(at::promote_types(input.scalar_type(), at::kFloat));
  return {at::empty_like(input, at::MemoryFormat::Contiguous), at::empty(rows, statistics),
          at::empty(rows, statistics)};
}

std::tuple<Tensor, Tensor, Tensor> native_layer_norm_backward(const Tensor&, const Tensor& input, at::IntArrayRef,
                                                              const Tensor&, const Tensor&,
                                                              const std::optional<Tensor>& weight,
                                                              const std::optional<Tensor>& bias,
                                                              std::array<bool, 3> wanted) {
  return {wanted[0] ? at::empty_like(input) : Tensor(), wanted[1] ? at::empty_like(*weight) : Tensor(),
          wanted[2] ? at::empty_like(*bias) : Tensor()};
}

Tensor index_select(const Tensor& self, int64_t dim, const Tensor& index) {
  std::vector<int64_t> sizes = self.sizes().vec();
  if (!sizes.empty()) sizes[at::maybe_wrap_dim(dim, self.dim())] = index.numel();
  return at::empty(sizes, self.options());
}

Tensor embedding_dense_backward(const Tensor& gradient, const Tensor&, int64_t rows, int64_t, bool) {
  return at::empty({rows, gradient.size(-1)}, gradient.options());
}

Tensor grid_sampler_2d(const Tensor& input, const Tensor& grid, int64_t, int64_t, bool) {
  return at::empty({input.size(0), input.size(1), grid.size(1), grid.size(2)}, input.options());
}

std::tuple<Tensor, Tensor> grid_sampler_2d_backward(const Tensor&, const Tensor& input, const Tensor& grid, int64_t,
                                                    int64_t, bool, std::array<bool, 2> wanted) {
  return {wanted[0] ? at::empty_like(input) : Tensor(), at::empty_like(grid)};
}

Tensor relu(const Tensor& self) { return at::empty_like(self); }

std::tuple<Tensor, Tensor> log_sigmoid_forward(const Tensor& self) {
  return {at::empty_like(self), at::empty({0}, self.options())};
}

Tensor log_sigmoid_backward(const Tensor&, const Tensor& self, const Tensor&) { return at::empty_like(self); }

Tensor searchsorted(const Tensor&, const Tensor& values, bool is_int32, bool, std::optional<c10::string_view>,
                    const std::optional<Tensor>&) {
  return at::empty(values.sizes(), values.options().dtype(is_int32 ? at::kInt : at::kLong));
}

Tensor& abs_out(const Tensor& self, Tensor& out) { return const_cast<Tensor&>(out.resize_(self.sizes())); }

Tensor& where_out(const Tensor& condition, const Tensor& self, const Tensor& other, Tensor& out) {
  const auto sizes = at::infer_size(at::infer_size(condition.sizes(), self.sizes()), other.sizes());
  return const_cast<Tensor&>(out.resize_(sizes));
}

Tensor where(const Tensor& condition, const Tensor& self, const Tensor& other) {
  Tensor out = at::empty({0}, self.options().dtype(at::result_type(self, other)));
  return where_out(condition, self, other, out);
}

void non_finite_check_and_unscale(at::TensorList, Tensor&, const Tensor&) {}

}  // namespace

TORCH_LIBRARY_IMPL(aten, Meta, library) {
  // A later libtorch may have them in C++.
  const auto add = [&](const std::string& name, auto&& function) {
    const size_t dot = name.find('.');
    const std::string overload = dot == std::string::npos ? "" : name.substr(dot + 1);
    const auto found = c10::Dispatcher::singleton().findSchema({"aten::" + name.substr(0, dot), overload});
    if (found.has_value() && !found->hasKernelForDispatchKey(c10::DispatchKey::Meta))
      library.impl(name.c_str(), function);
  };
  add("convolution", TORCH_FN(convolution));
  add("convolution_backward", TORCH_FN(convolution_backward));
  add("native_layer_norm", TORCH_FN(native_layer_norm));
  add("native_layer_norm_backward", TORCH_FN(native_layer_norm_backward));
  add("index_select", TORCH_FN(index_select));
  add("embedding_dense_backward", TORCH_FN(embedding_dense_backward));
  add("grid_sampler_2d", TORCH_FN(grid_sampler_2d));
  add("grid_sampler_2d_backward", TORCH_FN(grid_sampler_2d_backward));
  add("relu", TORCH_FN(relu));
  add("log_sigmoid_forward", TORCH_FN(log_sigmoid_forward));
  add("log_sigmoid_backward", TORCH_FN(log_sigmoid_backward));
  add("searchsorted.Tensor", TORCH_FN(searchsorted));
  add("abs.out", TORCH_FN(abs_out));
  add("where.self", TORCH_FN(where));
  add("where.self_out", TORCH_FN(where_out));
  add("_amp_foreach_non_finite_check_and_unscale_", TORCH_FN(non_finite_check_and_unscale));
}

}  // namespace rfdetr
