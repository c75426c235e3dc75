// Splits products into pieces for threads: panels of a weight while it is packed, rows of the output of a product, and
// for the gradient of a weight columns of its wider side.
#include "parallel.h"
#include "products.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/record_function.h>

namespace rfdetr::products {

namespace {

int64_t panels_of(int64_t columns, int64_t width) { return (columns + width - 1) / width; }

gemm::Source source_of(const at::Tensor& matrix) {
  return {matrix.const_data_ptr(), matrix.stride(0), matrix.scalar_type() == at::kFloat};
}

/// The same matrix from another first element on.
gemm::Source part_of(const gemm::Source& whole, int64_t row, int64_t column) {
  const int64_t bytes = (row * whole.stride + column) * (whole.is_f32 ? 4 : 2);
  return {static_cast<const char*>(whole.data) + bytes, whole.stride, whole.is_f32};
}

/// Memory for packed panels. libtorch aligns it to a cache line.
at::Tensor packed_memory(int64_t columns, int64_t width, int64_t depth) {
  return at::empty({gemm::packed_size(panels_of(columns, width), width, depth)}, at::kInt);
}

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

bool kernel_applies(const at::Tensor& input, const at::Tensor& weight) {
  static const bool supported = gemm::supported();
  return supported && input.scalar_type() == at::kBFloat16 && weight.dim() == 2 && weight.stride(1) == 1 &&
         weight.stride(0) >= weight.size(1) && weight.size(1) % 2 == 0 && weight.numel() > 0 &&
         input.numel() >= 16 * weight.size(1);
}

at::Tensor as_rows(const at::Tensor& tensor) { return tensor.reshape({-1, tensor.size(-1)}).contiguous(); }

std::vector<int64_t> with_last_size(at::IntArrayRef sizes, int64_t last) {
  std::vector<int64_t> changed = sizes.vec();
  changed.back() = last;
  return changed;
}

uint16_t* bf16_data(const at::Tensor& tensor) { return reinterpret_cast<uint16_t*>(tensor.data_ptr<at::BFloat16>()); }

int64_t packed_weight_size(int64_t outputs, int64_t depth) {
  return gemm::packed_size(panels_of(outputs, gemm::right_width), gemm::right_width, depth);
}

at::Tensor pack_weight(const at::Tensor& weight, bool split) {
  RECORD_FUNCTION("rfdetr::pack_weight", std::vector<c10::IValue>({weight}));
  const int64_t outputs = weight.size(0), inputs = weight.size(1), parts = split ? 3 : 1;
  at::Tensor packed = packed_memory(outputs, gemm::right_width, parts * inputs);
  auto* const pairs = packed.data_ptr<gemm::Pair>();
  const int64_t size = gemm::packed_size(1, gemm::right_width, inputs);
  const int64_t work = 8 * gemm::right_width * inputs * parts;
  parallel_for(0, panels_of(outputs, gemm::right_width), grain(work), [&](int64_t first, int64_t last) {
    for (int64_t part = 0; part < parts; ++part)
      gemm::pack_transposed(source_of(weight), outputs, inputs, first, last, pairs + part * size, parts * size,
                            part == 1);
  });
  return packed;
}

at::Tensor split_input(const at::Tensor& rows) {
  const int64_t count = rows.size(0), depth = rows.size(1);
  at::Tensor split = at::empty({count, 3 * depth}, at::kBFloat16);
  const float* from = rows.const_data_ptr<float>();
  uint16_t* to = bf16_data(split);
  parallel_for(0, count, grain(8 * depth), [&](int64_t first, int64_t last) {
    gemm::split_rows(from + first * depth, last - first, depth, to + first * 3 * depth);
  });
  return split;
}

void multiply(const at::Tensor& left, const at::Tensor& packed, const Epilogue& epilogue, at::Tensor& out) {
  RECORD_FUNCTION("rfdetr::multiply", std::vector<c10::IValue>({left, out}));
  const int64_t rows = left.size(0), depth = left.size(1), columns = out.size(1);
  const auto* from = static_cast<const uint16_t*>(left.const_data_ptr());
  const auto* pairs = packed.const_data_ptr<gemm::Pair>();
  const bool is_bf16 = out.scalar_type() == at::kBFloat16;
  const int64_t work = gemm::tile_rows * depth * columns;
  parallel_for(0, panels_of(rows, gemm::tile_rows), grain(work), [&](int64_t first, int64_t last) {
    const int64_t begin = first * gemm::tile_rows, end = std::min(last * gemm::tile_rows, rows);
    char* to = static_cast<char*>(out.data_ptr()) + begin * columns * (is_bf16 ? 2 : 4);
    gemm::multiply_rows(from + begin * depth, end - begin, columns, depth, pairs,
                        {to, columns, is_bf16, epilogue.from(begin * columns)});
  });
}

at::Tensor input_gradient(const at::Tensor& gradient_in, const at::Tensor& weight, at::ScalarType dtype,
                          const Epilogue& epilogue) {
  // Pairs need an even depth: an odd one gets a column of zeros, as the packed weight gets a row of zeros.
  const at::Tensor gradient = gradient_in.size(1) % 2 ? at::constant_pad_nd(gradient_in, {0, 1}) : gradient_in;
  const int64_t outputs = weight.size(0), inputs = weight.size(1);
  const at::Tensor packed = packed_memory(inputs, gemm::right_width, outputs);
  auto* const pairs = packed.data_ptr<gemm::Pair>();
  const int64_t work = 8 * gemm::right_width * outputs;
  parallel_for(0, panels_of(inputs, gemm::right_width), grain(work), [&](int64_t first, int64_t last) {
    gemm::pack_right(source_of(weight), inputs, outputs, first, last, pairs);
  });
  at::Tensor result = at::empty({gradient.size(0), inputs}, dtype);
  multiply(gradient, packed, epilogue, result);
  return result;
}

at::Tensor weight_gradient(const at::Tensor& gradient, const at::Tensor& input, at::Tensor* sums) {
  RECORD_FUNCTION("rfdetr::weight_gradient", std::vector<c10::IValue>({gradient, input}));
  constexpr int64_t piece = 512;  // rows that are packed at once: both operands of a thread stay in L2
  const int64_t rows = gradient.size(0), outputs = gradient.size(1), inputs = input.size(1);
  at::Tensor result = at::empty({outputs, inputs}, at::kFloat);
  if (sums) *sums = at::zeros({outputs}, at::kFloat);
  float *const to = result.data_ptr<float>(), *const sum = sums ? sums->data_ptr<float>() : nullptr;
  const bool by_outputs = outputs >= inputs;
  const int64_t wider = std::max(outputs, inputs), unit = gemm::right_width;  // a whole number of panels on either side
  const gemm::Source gradients = source_of(gradient), values = source_of(input);
  const int64_t work = unit * rows * std::min(outputs, inputs);
  // A share for each thread: each packs the narrower side as a whole.
  const int64_t panels = panels_of(wider, unit), share = (panels + at::get_num_threads() - 1) / at::get_num_threads();
  parallel_for(0, panels, std::max(grain(work), share), [&](int64_t first, int64_t last) {
    const int64_t begin = first * unit, end = std::min(last * unit, wider);
    const int64_t out_begin = by_outputs ? begin : 0, out_count = by_outputs ? end - begin : outputs;
    const int64_t in_begin = by_outputs ? 0 : begin, in_count = by_outputs ? inputs : end - begin;
    const at::Tensor left = packed_memory(out_count, gemm::left_width, std::min(piece, rows));
    const at::Tensor right = packed_memory(in_count, gemm::right_width, std::min(piece, rows));
    auto *const left_pairs = left.data_ptr<gemm::Pair>(), *const right_pairs = right.data_ptr<gemm::Pair>();
    float* const part_sums = sum && (by_outputs || first == 0) ? sum + out_begin : nullptr;
    for (int64_t row = 0; row < rows; row += piece) {
      const int64_t depth = std::min(piece, rows - row);
      gemm::pack_left(part_of(gradients, row, out_begin), out_count, depth, 0, panels_of(out_count, gemm::left_width),
                      left_pairs, part_sums);
      gemm::pack_right(part_of(values, row, in_begin), in_count, depth, 0, panels_of(in_count, gemm::right_width),
                       right_pairs);
      gemm::multiply_packed(left_pairs, out_count, right_pairs, in_count, depth,
                            {to + out_begin * inputs + in_begin, inputs, false, {.accumulate = row > 0}});
    }
  });
  return result;
}

at::Tensor gelu(const at::Tensor& input_in) {
  const at::Tensor input = input_in.contiguous();
  at::Tensor result = at::empty_like(input);
  const auto* from = static_cast<const uint16_t*>(input.const_data_ptr());
  uint16_t* to = bf16_data(result);
  parallel_for(0, input.numel(), 1 << 14,
               [&](int64_t first, int64_t last) { gemm::gelu(from + first, last - first, to + first); });
  return result;
}

at::Tensor gelu_backward(const at::Tensor& gradient_in, const at::Tensor& input_in) {
  const at::Tensor gradient = gradient_in.contiguous(), input = input_in.contiguous();
  at::Tensor result = at::empty_like(input);
  const auto* of = static_cast<const uint16_t*>(gradient.const_data_ptr());
  const auto* from = static_cast<const uint16_t*>(input.const_data_ptr());
  uint16_t* to = bf16_data(result);
  parallel_for(0, input.numel(), 1 << 14, [&](int64_t first, int64_t last) {
    gemm::gelu_backward(of + first, from + first, last - first, to + first);
  });
  return result;
}

}  // namespace rfdetr::products
