// Splits products into pieces for threads: panels of a weight while it is packed, rows of the output of a product, and
// for the gradient of a weight columns of its wider side.
#include "products.h"
#include "parallel.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>

namespace rfdetr::products {

namespace {

int64_t panels_of(int64_t columns, int64_t width) { return (columns + width - 1) / width; }

/// The rows of `matrix` for a product whose left operand is bfloat16 or not.
gemm::Source source_of(const at::Tensor& matrix, bool bf16_product) {
  return {matrix.const_data_ptr(), matrix.stride(0), matrix.scalar_type() == at::kFloat, bf16_product};
}

bool is_bf16(const at::Tensor& tensor) { return tensor.scalar_type() == at::kBFloat16; }

/// Memory for packed panels. libtorch aligns it to a cache line.
at::Tensor packed_memory(int64_t cells) { return at::empty({cells}, at::kInt); }
gemm::Cell* cells_of(const at::Tensor& packed) { return packed.data_ptr<gemm::Cell>(); }

/// Items of work for one thread: at least 2¹⁸ multiplications, so that starting it pays.
int64_t grain(int64_t multiplications_of_one) {
  constexpr int64_t worth_a_thread = 1 << 18;
  return std::max<int64_t>(1, worth_a_thread / std::max<int64_t>(1, multiplications_of_one));
}

}  // namespace

bool is_f32_or_bf16(const at::Tensor& tensor) {
  return (tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kBFloat16) &&
         tensor.layout() == at::kStrided;
}

const Kernels* kernels_for(const at::Tensor& left) {
  static const Kernels *const f32 = gemm::kernels(false), *const bf16 = gemm::kernels(true);
  if (!left.device().is_cpu() || !is_f32_or_bf16(left)) return nullptr;
  return is_bf16(left) ? bf16 : f32;
}

bool kernel_applies(const at::Tensor& input, const at::Tensor& weight) {
  const Kernels* const kernels = kernels_for(input);
  return kernels && weight.device().is_cpu() && (is_bf16(input) || weight.scalar_type() == at::kFloat) &&
         weight.dim() == 2 && weight.stride(1) == 1 && weight.stride(0) >= weight.size(1) &&
         weight.size(1) % kernels->cell_elements == 0 && weight.numel() > 0 && input.numel() >= 16 * weight.size(1);
}

at::Tensor as_rows(const at::Tensor& tensor) { return tensor.reshape({-1, tensor.size(-1)}).contiguous(); }

std::vector<int64_t> with_last_size(at::IntArrayRef sizes, int64_t last) {
  std::vector<int64_t> changed = sizes.vec();
  changed.back() = last;
  return changed;
}

int64_t packed_weight_size(const Kernels& kernels, int64_t outputs, int64_t depth) {
  return kernels.packed_size(outputs, kernels.right_width, depth);
}

at::Tensor pack_weight(const at::Tensor& weight, at::ScalarType dtype) {
  RECORD_FUNCTION("rfdetr::pack_weight", std::vector<c10::IValue>({weight}));
  const bool bf16_product = dtype == at::kBFloat16;
  const Kernels& kernels = *gemm::kernels(bf16_product);
  const int64_t outputs = weight.size(0), inputs = weight.size(1), width = kernels.right_width;
  at::Tensor packed = packed_memory(packed_weight_size(kernels, outputs, inputs));
  parallel_for(0, panels_of(outputs, width), grain(8 * width * inputs), [&](int64_t first, int64_t last) {
    kernels.pack_transposed(source_of(weight, bf16_product), outputs, inputs, first, last, cells_of(packed));
  });
  return packed;
}

at::Tensor pack_split_weight(const at::Tensor& weight) {
  RECORD_FUNCTION("rfdetr::pack_weight", std::vector<c10::IValue>({weight}));
  const Kernels& kernels = *gemm::kernels(true);
  const int64_t outputs = weight.size(0), inputs = weight.size(1), width = kernels.right_width;
  at::Tensor packed = packed_memory(packed_weight_size(kernels, outputs, 3 * inputs));
  parallel_for(0, panels_of(outputs, width), grain(24 * width * inputs), [&](int64_t first, int64_t last) {
    gemm::pack_split(source_of(weight, true), outputs, inputs, first, last, cells_of(packed));
  });
  return packed;
}

at::Tensor split_input(const at::Tensor& rows) {
  const int64_t count = rows.size(0), depth = rows.size(1);
  at::Tensor split = at::empty({count, 3 * depth}, at::kBFloat16);
  const float* from = rows.const_data_ptr<float>();
  auto* const to = static_cast<uint16_t*>(split.data_ptr());
  parallel_for(0, count, grain(8 * depth), [&](int64_t first, int64_t last) {
    gemm::split_rows(from + first * depth, last - first, depth, to + first * 3 * depth);
  });
  return split;
}

void multiply(const at::Tensor& left, const at::Tensor& packed, const Epilogue& epilogue, at::Tensor& out) {
  RECORD_FUNCTION("rfdetr::multiply", std::vector<c10::IValue>({left, out}));
  constexpr int64_t unit = 6;  // rows of a register tile in all kernels
  const Kernels& kernels = *kernels_for(left);
  const int64_t rows = left.size(0), depth = left.size(1), columns = out.size(1), size = out.element_size();
  const gemm::Source source = source_of(left, is_bf16(left));
  parallel_for(0, panels_of(rows, unit), grain(unit * depth * columns), [&](int64_t first, int64_t last) {
    const int64_t begin = first * unit, end = std::min(last * unit, rows), bytes = begin * columns * size;
    kernels.multiply_rows(source.from(begin, 0), end - begin, columns, depth, cells_of(packed),
                          {static_cast<char*>(out.data_ptr()) + bytes, columns, is_bf16(out), epilogue.from(bytes)});
  });
}

at::Tensor input_gradient(const at::Tensor& gradient_in, const at::Tensor& weight, at::ScalarType dtype,
                          const Epilogue& epilogue, at::Tensor result) {
  const Kernels& kernels = *kernels_for(gradient_in);
  const int64_t outputs = weight.size(0), inputs = weight.size(1), width = kernels.right_width;
  // Cells must be whole: an odd depth gets a column of zeros, as the packed weight gets a row of zeros.
  const int64_t missing = kernels.cells(outputs) * kernels.cell_elements - outputs;
  const at::Tensor gradient = missing ? at::constant_pad_nd(gradient_in, {0, missing}) : gradient_in;
  const at::Tensor packed = packed_memory(packed_weight_size(kernels, inputs, outputs));
  parallel_for(0, panels_of(inputs, width), grain(8 * width * outputs), [&](int64_t first, int64_t last) {
    kernels.pack_right(source_of(weight, is_bf16(gradient)), inputs, outputs, first, last, cells_of(packed));
  });
  if (!result.defined()) result = at::empty({gradient.size(0), inputs}, dtype);
  multiply(gradient, packed, epilogue, result);
  return result;
}

void add_weight_gradient(const at::Tensor& gradient, const at::Tensor& input, WeightGradient& gradients) {
  RECORD_FUNCTION("rfdetr::weight_gradient", std::vector<c10::IValue>({gradient, input}));
  constexpr int64_t out_block = 48, most_columns = 256;  // outputs and inputs of a piece: whole panels of all kernels
  const Kernels& kernels = *kernels_for(gradient);
  const int64_t rows = gradient.size(0), outputs = gradient.size(1), inputs = input.size(1);
  const int64_t left_width = kernels.left_width, right_width = kernels.right_width;
  const bool adds = gradients.weight.defined();
  if (!adds) gradients = {at::empty({outputs, inputs}, at::kFloat), at::zeros({outputs}, at::kFloat)};
  float *const to = gradients.weight.data_ptr<float>(), *const sums = gradients.bias.data_ptr<float>();
  const int64_t held = std::min(rows_at_once, rows);
  const at::Tensor left = packed_memory(kernels.packed_size(outputs, left_width, held));
  const at::Tensor right = packed_memory(kernels.packed_size(inputs, right_width, held));
  const int64_t left_panels = panels_of(outputs, left_width), right_panels = panels_of(inputs, right_width);
  const int64_t across = panels_of(inputs, most_columns), pieces = panels_of(outputs, out_block) * across;
  for (int64_t row = 0; row < rows; row += rows_at_once) {
    const int64_t depth = std::min(rows_at_once, rows - row), cells = kernels.cells(depth);
    const gemm::Source slopes = source_of(gradient, is_bf16(gradient)).from(row, 0);
    const gemm::Source values = source_of(input, is_bf16(gradient)).from(row, 0);
    parallel_for(0, left_panels, grain(8 * left_width * depth), [&](int64_t first, int64_t last) {
      kernels.pack_left(slopes, outputs, depth, first, last, cells_of(left), sums);
    });
    parallel_for(0, right_panels, grain(8 * right_width * depth), [&](int64_t first, int64_t last) {
      kernels.pack_right(values, inputs, depth, first, last, cells_of(right));
    });
    parallel_for(0, pieces, grain(out_block * most_columns * depth), [&](int64_t first, int64_t last) {
      for (int64_t piece = first; piece < last; ++piece) {
        const int64_t out = piece / across * out_block, in = piece % across * most_columns;
        kernels.multiply_packed(cells_of(left) + out * cells, std::min(out_block, outputs - out),
                                cells_of(right) + in * cells, std::min(most_columns, inputs - in), depth,
                                {to + out * inputs + in, inputs, false, {.accumulate = adds || row > 0}});
      }
    });
  }
}

bool activation_applies(const at::Tensor& input) {
  return input.device().is_cpu() && is_f32_or_bf16(input) && gemm::kernels(is_bf16(input)) != nullptr;
}

at::Tensor gelu(const at::Tensor& input_in) {
  const at::Tensor input = input_in.contiguous();
  at::Tensor result = at::empty_like(input);
  const gemm::Kernels& kernels = *gemm::kernels(is_bf16(input));
  const int64_t size = input.element_size();
  const auto* from = static_cast<const char*>(input.const_data_ptr());
  auto* to = static_cast<char*>(result.data_ptr());
  parallel_for(0, input.numel(), 1 << 14, [&](int64_t first, int64_t last) {
    kernels.gelu(is_bf16(input), from + first * size, last - first, to + first * size);
  });
  return result;
}

at::Tensor gelu_backward(const at::Tensor& gradient_in, const at::Tensor& input_in) {
  const at::Tensor gradient = gradient_in.contiguous(), input = input_in.contiguous();
  at::Tensor result = at::empty_like(input);
  const gemm::Kernels& kernels = *gemm::kernels(is_bf16(input));
  const int64_t size = input.element_size();
  const auto* of = static_cast<const char*>(gradient.const_data_ptr());
  const auto* from = static_cast<const char*>(input.const_data_ptr());
  auto* to = static_cast<char*>(result.data_ptr());
  parallel_for(0, input.numel(), 1 << 14, [&](int64_t first, int64_t last) {
    kernels.gelu_backward(is_bf16(input), of + first * size, from + first * size, last - first, to + first * size);
  });
  return result;
}

}  // namespace rfdetr::products
