// Splits products into pieces for threads: panels of a weight while it is packed, rows of the output of a product, and
// for the gradient of a weight columns of its wider side.
#include "products.h"
#include "parallel.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <array>
#include <numeric>

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

int64_t packed_weight_size(const Kernels& kernels, int64_t outputs, int64_t depth) {
  return kernels.packed_size(outputs, kernels.right_width, depth);
}

/// What a packed weight says of itself: as many cells may hold another one.
using Label = std::array<gemm::Cell, 3>;
Label label_of(const Kernels& kernels, int64_t outputs, int64_t depth) {
  return {static_cast<gemm::Cell>(outputs), static_cast<gemm::Cell>(depth),
          static_cast<gemm::Cell>(kernels.cell_elements)};
}

/// Items of work for one thread: at least 2¹⁸ multiplications, so that starting it pays.
int64_t grain(int64_t multiplications_of_one) {
  constexpr int64_t worth_a_thread = 1 << 18;
  return std::max<int64_t>(1, worth_a_thread / std::max<int64_t>(1, multiplications_of_one));
}

/// The address of an element, to read or to write.
const void* element(const at::Tensor& tensor, int64_t index) {
  return static_cast<const char*>(tensor.const_data_ptr()) + index * tensor.element_size();
}
void* element(at::Tensor& tensor, int64_t index) {
  return static_cast<char*>(tensor.data_ptr()) + index * tensor.element_size();
}

/// Calls body(kernels, first, count) for parts of the elements of a tensor.
template <class Body>
void for_elements(const at::Tensor& tensor, Body&& body) {
  const gemm::Kernels& kernels = *gemm::kernels(is_bf16(tensor));
  parallel_for(0, tensor.numel(), 1 << 14, [&](int64_t first, int64_t last) { body(kernels, first, last - first); });
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

bool is_packed(const at::Tensor& tensor, const Kernels& kernels, int64_t outputs, int64_t depth) {
  const int64_t cells = packed_weight_size(kernels, outputs, depth);
  const Label label = label_of(kernels, outputs, depth);
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kInt && tensor.is_contiguous() &&
         tensor.numel() == cells + static_cast<int64_t>(label.size()) &&
         std::equal(label.begin(), label.end(), tensor.const_data_ptr<gemm::Cell>() + cells);
}

at::Tensor pack_weight(const at::Tensor& weight, at::ScalarType dtype) {
  RECORD_FUNCTION("rfdetr::pack_weight", std::vector<c10::IValue>({weight}));
  const bool bf16_product = dtype == at::kBFloat16;
  const Kernels& kernels = *gemm::kernels(bf16_product);
  const int64_t outputs = weight.size(0), inputs = weight.size(1), width = kernels.right_width;
  const int64_t cells = packed_weight_size(kernels, outputs, inputs);
  const Label label = label_of(kernels, outputs, inputs);
  at::Tensor packed = packed_memory(cells + static_cast<int64_t>(label.size()));
  std::copy(label.begin(), label.end(), cells_of(packed) + cells);
  parallel_for(0, panels_of(outputs, width), grain(8 * width * inputs), [&](int64_t first, int64_t last) {
    kernels.pack_transposed(source_of(weight, bf16_product), outputs, inputs, kernels.cells(inputs), first, last,
                            cells_of(packed));
  });
  return packed;
}

at::Tensor pack_split_weight(const at::Tensor& weight) {
  RECORD_FUNCTION("rfdetr::pack_weight", std::vector<c10::IValue>({weight}));
  const Kernels& kernels = *gemm::kernels(true);
  const int64_t outputs = weight.size(0), inputs = weight.size(1), width = kernels.right_width;
  at::Tensor packed = packed_memory(packed_weight_size(kernels, outputs, 3 * inputs));
  parallel_for(0, panels_of(outputs, width), grain(24 * width * inputs), [&](int64_t first, int64_t last) {
    gemm::pack_split(source_of(weight, true), outputs, inputs, width, kernels.cells(3 * inputs), first, last,
                     cells_of(packed));
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
  const Kernels& kernels = *kernels_for(left);
  const int64_t unit = kernels.row_unit;
  const int64_t rows = left.size(0), depth = left.size(1), columns = out.size(1), size = out.element_size();
  const gemm::Source source = source_of(left, is_bf16(left));
  parallel_for(0, panels_of(rows, unit), grain(unit * depth * columns), [&](int64_t first, int64_t last) {
    const int64_t begin = first * unit, end = std::min(last * unit, rows), bytes = begin * columns * size;
    kernels.multiply_rows(source.from(begin, 0), end - begin, columns, depth, cells_of(packed),
                          {element(out, begin * columns), columns, is_bf16(out), epilogue.from(bytes)});
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
    kernels.pack_right(source_of(weight, is_bf16(gradient)), inputs, outputs, kernels.cells(outputs), first, last,
                       cells_of(packed));
  });
  if (!result.defined()) result = at::empty({gradient.size(0), inputs}, dtype);
  multiply(gradient, packed, epilogue, result);
  return result;
}

void add_weight_gradient(const at::Tensor& gradient, const at::Tensor& input, WeightGradient& gradients) {
  RECORD_FUNCTION("rfdetr::weight_gradient", std::vector<c10::IValue>({gradient, input}));
  const Kernels& kernels = *kernels_for(gradient);
  const int64_t rows = gradient.size(0), outputs = gradient.size(1), inputs = input.size(1);
  const bool adds = gradients.weight.defined();
  if (!adds) gradients = {at::empty({outputs, inputs}, at::kFloat), at::zeros({outputs}, at::kFloat)};
  float *const to = gradients.weight.data_ptr<float>(), *const sums = gradients.bias.data_ptr<float>();
  const gemm::Source slopes = source_of(gradient, is_bf16(gradient)), values = source_of(input, is_bf16(gradient));

  // Blocks of rows that are packed at once: few, so that they stay in the cache, yet enough that the threads seldom
  // wait for each other. An element is summed within a block, and then over the blocks.
  constexpr int64_t most_cells = 2 << 20;
  const int64_t left_size = kernels.packed_size(outputs, kernels.left_width, rows_at_once);
  const int64_t right_size = kernels.packed_size(inputs, kernels.right_width, rows_at_once);
  const int64_t held = std::clamp<int64_t>(most_cells / (left_size + right_size), 1, panels_of(rows, rows_at_once));
  const at::Tensor packed = packed_memory(held * (left_size + right_size));
  gemm::Cell *const left = cells_of(packed), *const right = left + held * left_size;

  constexpr int64_t strip = 16;  // panels that are packed side by side
  const int64_t left_panels = panels_of(outputs, kernels.left_width), left_strips = panels_of(left_panels, strip);
  const int64_t right_panels = panels_of(inputs, kernels.right_width), right_strips = panels_of(right_panels, strip);
  const int64_t strips = left_strips + right_strips;

  // Outputs and inputs of a piece: whole panels.
  constexpr int64_t fewest_columns = 128;
  const int64_t out_block = std::lcm(int64_t{48}, kernels.row_unit);
  const int64_t down = panels_of(outputs, out_block), enough = 8 * at::get_num_threads();
  int64_t columns = 256;
  while (columns > fewest_columns && down * panels_of(inputs, columns) < enough) columns /= 2;
  const int64_t across = panels_of(inputs, columns);

  for (int64_t begin = 0; begin < rows; begin += held * rows_at_once) {
    const int64_t end = std::min(begin + held * rows_at_once, rows);
    const int64_t blocks = panels_of(end - begin, rows_at_once);
    const auto rows_of = [&](int64_t block) { return std::min(rows_at_once, end - begin - block * rows_at_once); };
    std::vector<float> block_sums(blocks * outputs);
    parallel_for(0, blocks * strips, 1, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        const int64_t block = i / strips, row = begin + block * rows_at_once;
        const int64_t depth = rows_of(block), cells = kernels.cells(depth);
        const bool is_left = i % strips < left_strips;
        const int64_t panel = (i % strips - (is_left ? 0 : left_strips)) * strip;
        if (is_left)
          kernels.pack_left(slopes.from(row, 0), outputs, depth, cells, panel, std::min(panel + strip, left_panels),
                            left + block * left_size, block_sums.data() + block * outputs);
        else
          kernels.pack_right(values.from(row, 0), inputs, depth, cells, panel, std::min(panel + strip, right_panels),
                             right + block * right_size);
      }
    });
    for (int64_t i = 0; i < blocks * outputs; ++i) sums[i % outputs] += block_sums[i];
    parallel_for(0, down * across, grain(out_block * columns * (end - begin)), [&](int64_t first, int64_t last) {
      for (int64_t piece = first; piece < last; ++piece) {
        const int64_t out = piece / across * out_block, in = piece % across * columns;
        for (int64_t block = 0; block < blocks; ++block) {
          const int64_t depth = rows_of(block), cells = kernels.cells(depth);
          kernels.multiply_packed(left + block * left_size + out * cells, std::min(out_block, outputs - out),
                                  right + block * right_size + in * cells, std::min(columns, inputs - in), depth,
                                  {to + out * inputs + in, inputs, false, {.accumulate = adds || begin + block > 0}});
        }
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
  for_elements(input, [&](const gemm::Kernels& kernels, int64_t first, int64_t count) {
    kernels.gelu(is_bf16(input), element(input, first), count, element(result, first));
  });
  return result;
}

at::Tensor gelu_backward(const at::Tensor& gradient_in, const at::Tensor& input_in) {
  const at::Tensor gradient = gradient_in.contiguous(), input = input_in.contiguous();
  at::Tensor result = at::empty_like(input);
  for_elements(input, [&](const gemm::Kernels& kernels, int64_t first, int64_t count) {
    kernels.gelu_backward(is_bf16(input), element(gradient, first), element(input, first), count,
                          element(result, first));
  });
  return result;
}

}  // namespace rfdetr::products
