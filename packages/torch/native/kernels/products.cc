#include "products.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/record_function.h>

namespace rfdetr::products {

namespace {

int64_t panels_of(int64_t columns, int64_t width) { return (columns + width - 1) / width; }

/// A row-major matrix as the kernels read it; float32 is rounded on the way.
gemm::Source source_of(const at::Tensor& matrix) {
  return {matrix.const_data_ptr(), matrix.stride(0), matrix.scalar_type() == at::kFloat};
}

/// Memory of packed pairs, at the start of a cache line.
at::Tensor packed_memory(int64_t columns, int64_t width, int64_t depth) {
  return at::empty({gemm::packed_size(panels_of(columns, width), width, depth)}, at::kInt);
}

/// At least this many multiplications are worth a thread.
constexpr int64_t worth_a_thread = 1 << 18;
int64_t grain(int64_t work_of_one) { return std::max<int64_t>(1, worth_a_thread / std::max<int64_t>(1, work_of_one)); }

}  // namespace

bool plain(const at::Tensor& tensor) {
  return (tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kBFloat16) &&
         tensor.layout() == at::kStrided;
}

bool fit(const at::Tensor& input, const at::Tensor& weight) {
  static const bool supported = gemm::supported();
  return supported && input.scalar_type() == at::kBFloat16 && weight.dim() == 2 && weight.stride(1) == 1 &&
         weight.stride(0) >= weight.size(1) && weight.size(1) % 2 == 0 && weight.numel() > 0 &&
         input.numel() >= 16 * weight.size(1);
}

at::Tensor rows_of(const at::Tensor& tensor) { return tensor.reshape({-1, tensor.size(-1)}).contiguous(); }

std::vector<int64_t> with_last(at::IntArrayRef sizes, int64_t last) {
  std::vector<int64_t> changed = sizes.vec();
  changed.back() = last;
  return changed;
}

int64_t packed_weight_size(int64_t outputs, int64_t depth) {
  return gemm::packed_size(panels_of(outputs, gemm::right_width), gemm::right_width, depth);
}

at::Tensor pack_weight(const at::Tensor& weight, bool split) {
  RECORD_FUNCTION("rfdetr::pack_weight", std::vector<c10::IValue>({weight}));
  const int64_t outputs = weight.size(0), inputs = weight.size(1), parts = split ? 3 : 1;
  at::Tensor packed = packed_memory(outputs, gemm::right_width, parts * inputs);
  auto* const pairs = packed.data_ptr<gemm::Pair>();
  const int64_t size = gemm::packed_size(1, gemm::right_width, inputs);
  at::parallel_for(0, panels_of(outputs, gemm::right_width), grain(8 * gemm::right_width * inputs * parts),
                   [&](int64_t first, int64_t last) {
                     for (int64_t part = 0; part < parts; ++part)
                       gemm::pack_transposed(source_of(weight), outputs, inputs, first, last, pairs + part * size,
                                             parts * size, part == 1);
                   });
  return packed;
}

at::Tensor split_input(const at::Tensor& rows) {
  const int64_t count = rows.size(0), depth = rows.size(1);
  at::Tensor split = at::empty({count, 3 * depth}, at::kBFloat16);
  at::parallel_for(0, count, grain(8 * depth), [&](int64_t first, int64_t last) {
    gemm::split_rows(rows.const_data_ptr<float>() + first * depth, last - first, depth,
                     static_cast<uint16_t*>(split.data_ptr()) + first * 3 * depth);
  });
  return split;
}

void multiply(const at::Tensor& left, const at::Tensor& packed, const Finish& finish, at::Tensor& out) {
  RECORD_FUNCTION("rfdetr::multiply", std::vector<c10::IValue>({left, out}));
  const int64_t rows = left.size(0), depth = left.size(1), columns = out.size(1);
  const auto* from = static_cast<const uint16_t*>(left.const_data_ptr());
  const auto* pairs = packed.const_data_ptr<gemm::Pair>();
  const bool half = out.scalar_type() == at::kBFloat16;
  const float* bias = finish.bias.defined() ? finish.bias.const_data_ptr<float>() : nullptr;
  auto* before = finish.before.defined() ? static_cast<uint16_t*>(finish.before.data_ptr()) : nullptr;
  const auto* slopes = finish.at.defined() ? static_cast<const uint16_t*>(finish.at.const_data_ptr()) : nullptr;
  at::parallel_for(
      0, panels_of(rows, gemm::tile_rows), grain(gemm::tile_rows * depth * columns), [&](int64_t first, int64_t last) {
        const int64_t begin = first * gemm::tile_rows, end = std::min(last * gemm::tile_rows, rows);
        char* to = static_cast<char*>(out.data_ptr()) + begin * columns * (half ? 2 : 4);
        gemm::multiply_rows(
            from + begin * depth, end - begin, columns, depth, pairs,
            {to, columns, half, bias, false, finish.activation, before ? before + begin * columns : nullptr,
             finish.slope_of, slopes ? slopes + begin * columns : nullptr});
      });
}

at::Tensor input_gradient(const at::Tensor& gradient_in, const at::Tensor& weight, at::ScalarType dtype,
                          const Finish& finish) {
  // Pairs need an even depth; the weight is packed with a row of zeros for it.
  const at::Tensor gradient = gradient_in.size(1) % 2 ? at::constant_pad_nd(gradient_in, {0, 1}) : gradient_in;
  const int64_t outputs = weight.size(0), inputs = weight.size(1);
  const at::Tensor packed = packed_memory(inputs, gemm::right_width, outputs);
  auto* const pairs = packed.data_ptr<gemm::Pair>();
  at::parallel_for(
      0, panels_of(inputs, gemm::right_width), grain(8 * gemm::right_width * outputs),
      [&](int64_t first, int64_t last) { gemm::pack_right(source_of(weight), inputs, outputs, first, last, pairs); });
  at::Tensor result = at::empty({gradient.size(0), inputs}, dtype);
  multiply(gradient, packed, finish, result);
  return result;
}

/// Each thread takes a part of the wider side, and packs both sides piece by piece, as much as its second cache holds.
at::Tensor weight_gradient(const at::Tensor& gradient, const at::Tensor& input, at::Tensor* sums) {
  RECORD_FUNCTION("rfdetr::weight_gradient", std::vector<c10::IValue>({gradient, input}));
  constexpr int64_t piece = 512;
  const int64_t rows = gradient.size(0), outputs = gradient.size(1), inputs = input.size(1);
  at::Tensor result = at::empty({outputs, inputs}, at::kFloat);
  if (sums) *sums = at::zeros({outputs}, at::kFloat);
  float *const to = result.data_ptr<float>(), *const sum = sums ? sums->data_ptr<float>() : nullptr;
  const bool by_outputs = outputs >= inputs;
  const int64_t wider = std::max(outputs, inputs), unit = gemm::right_width;  // a whole number of panels on either side
  const auto part = [](const gemm::Source& whole, int64_t row, int64_t column) {
    const int64_t at = (row * whole.stride + column) * (whole.wide ? 4 : 2);
    return gemm::Source{static_cast<const char*>(whole.data) + at, whole.stride, whole.wide};
  };
  const gemm::Source gradients = source_of(gradient), values = source_of(input);
  at::parallel_for(
      0, panels_of(wider, unit), grain(unit * rows * std::min(outputs, inputs)), [&](int64_t first, int64_t last) {
        const int64_t begin = first * unit, end = std::min(last * unit, wider);
        const int64_t out_begin = by_outputs ? begin : 0, out_count = by_outputs ? end - begin : outputs;
        const int64_t in_begin = by_outputs ? 0 : begin, in_count = by_outputs ? inputs : end - begin;
        const at::Tensor left = packed_memory(out_count, gemm::left_width, std::min(piece, rows)),
                         right = packed_memory(in_count, gemm::right_width, std::min(piece, rows));
        auto *const left_pairs = left.data_ptr<gemm::Pair>(), *const right_pairs = right.data_ptr<gemm::Pair>();
        const bool summing = sum && (by_outputs || first == 0);
        for (int64_t row = 0; row < rows; row += piece) {
          const int64_t depth = std::min(piece, rows - row);
          gemm::pack_left(part(gradients, row, out_begin), out_count, depth, 0, panels_of(out_count, gemm::left_width),
                          left_pairs, summing ? sum + out_begin : nullptr);
          gemm::pack_right(part(values, row, in_begin), in_count, depth, 0, panels_of(in_count, gemm::right_width),
                           right_pairs);
          gemm::multiply_packed(left_pairs, out_count, right_pairs, in_count, depth,
                                {to + out_begin * inputs + in_begin, inputs, false, nullptr, row > 0});
        }
      });
  return result;
}

at::Tensor gelu(const at::Tensor& values_in) {
  const at::Tensor values = values_in.contiguous();
  at::Tensor result = at::empty_like(values);
  const auto* from = static_cast<const uint16_t*>(values.const_data_ptr());
  auto* to = static_cast<uint16_t*>(result.data_ptr());
  at::parallel_for(0, values.numel(), 1 << 14,
                   [&](int64_t first, int64_t last) { gemm::gelu(from + first, last - first, to + first); });
  return result;
}

at::Tensor gelu_backward(const at::Tensor& gradient_in, const at::Tensor& at_in) {
  const at::Tensor gradient = gradient_in.contiguous(), place = at_in.contiguous();
  at::Tensor result = at::empty_like(place);
  const auto *of = static_cast<const uint16_t*>(gradient.const_data_ptr()),
             *from = static_cast<const uint16_t*>(place.const_data_ptr());
  auto* to = static_cast<uint16_t*>(result.data_ptr());
  at::parallel_for(0, place.numel(), 1 << 14, [&](int64_t first, int64_t last) {
    gemm::gelu_backward(of + first, from + first, last - first, to + first);
  });
  return result;
}

}  // namespace rfdetr::products
