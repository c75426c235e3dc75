// compile: -O3 -fno-trapping-math -ffp-contract=off
// rfdetr::resize_rgb: bytes [H × W × 3] resized as Pillow's 8-bit bilinear resize does it, bit for bit: a triangle
// filter in fixed point across, rounded to bytes, and then down.
#include "every_cpu.h"
#include "parallel.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include <cmath>
#include <cstring>

namespace rfdetr {

namespace {

constexpr int digits = 22;  // fractional bits of the weights
constexpr int32_t half = 1 << (digits - 1);

using Bytes4 = uint8_t __attribute__((vector_size(4)));
using Ints4 = int32_t __attribute__((vector_size(16)));

/// The weights of each output pixel: `count` of them from input pixel `first` on, `taps` apart.
struct Filter {
  std::vector<int32_t> first, count, weights;
  int64_t taps;
};

/// A triangle of support one, widened by the scale when shrinking.
Filter triangle(int64_t input, int64_t output) {
  const double scale = static_cast<double>(input) / static_cast<double>(output), support = std::max(scale, 1.0);
  const int64_t taps = static_cast<int64_t>(std::ceil(support)) * 2 + 1;
  Filter filter{std::vector<int32_t>(output), std::vector<int32_t>(output), std::vector<int32_t>(output * taps), taps};
  std::vector<double> row(taps);
  for (int64_t i = 0; i < output; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const int64_t first = std::max<int64_t>(0, static_cast<int64_t>(centre - support + 0.5));
    const int64_t end = std::min<int64_t>(input, static_cast<int64_t>(centre + support + 0.5));
    double sum = 0;
    for (int64_t k = 0; k < end - first; ++k) {
      const double distance = std::abs((static_cast<double>(k + first) - centre + 0.5) / support);
      row[k] = distance < 1 ? 1 - distance : 0;
      sum += row[k];
    }
    for (int64_t k = 0; k < end - first; ++k)
      filter.weights[i * taps + k] = static_cast<int32_t>((sum == 0 ? row[k] : row[k] / sum) * (1 << digits) + 0.5);
    filter.first[i] = static_cast<int32_t>(first);
    filter.count[i] = static_cast<int32_t>(end - first);
  }
  return filter;
}

/// One row across. `readable` bytes may be read from `from` on, which are one short of a vector at the very end.
EVERY_CPU void across(const uint8_t* from, int64_t readable, const Filter& filter, int64_t width, uint8_t* to) {
  const int32_t* weights = filter.weights.data();
  for (int64_t x = 0; x < width; ++x, weights += filter.taps, to += 3) {
    const int64_t first = filter.first[x], count = filter.count[x];
    Ints4 sum = {half, half, half, half};
    for (int64_t k = 0; k < count; ++k) {
      const int64_t at = 3 * (first + k);
      Bytes4 pixel = {};
      std::memcpy(&pixel, from + at, at + 4 <= readable ? 4 : 3);
      sum += __builtin_convertvector(pixel, Ints4) * weights[k];
    }
    sum >>= digits;
    for (int channel = 0; channel < 3; ++channel) to[channel] = static_cast<uint8_t>(sum[channel]);
  }
}

/// One row of the result from `count` rows of `size` bytes.
EVERY_CPU void down(const uint8_t* from, int64_t size, const int32_t* weights, int64_t count, int32_t* sums,
                    uint8_t* to) {
  for (int64_t x = 0; x < size; ++x) sums[x] = half;
  for (int64_t k = 0; k < count; ++k)
    for (int64_t x = 0; x < size; ++x) sums[x] += from[k * size + x] * weights[k];
  for (int64_t x = 0; x < size; ++x) to[x] = static_cast<uint8_t>(sums[x] >> digits);
}

at::Tensor resize_rgb(const at::Tensor& pixels, int64_t height, int64_t width) {
  TORCH_CHECK(pixels.dim() == 3 && pixels.size(2) == 3 && pixels.scalar_type() == at::kByte && pixels.numel() > 0 &&
                  height > 0 && width > 0,
              "Expected bytes of shape [height, width, 3] and a positive size but received ", pixels.toString(),
              " of shape ", pixels.sizes());
  const at::Tensor source = pixels.contiguous();
  const int64_t rows = source.size(0), columns = source.size(1), line = 3 * width;
  at::Tensor middle = source;
  if (columns != width) {
    middle = at::empty({rows, width, 3}, source.options());
    const Filter filter = triangle(columns, width);
    const uint8_t* from = source.const_data_ptr<uint8_t>();
    uint8_t* to = middle.data_ptr<uint8_t>();
    parallel_for(0, rows, 16, [&](int64_t begin, int64_t end) {
      for (int64_t y = begin; y < end; ++y)
        across(from + 3 * y * columns, 3 * (rows - y) * columns, filter, width, to + y * line);
    });
  }
  if (rows == height) return middle.is_same(pixels) ? middle.clone() : middle;
  at::Tensor result = at::empty({height, width, 3}, source.options());
  const Filter filter = triangle(rows, height);
  const uint8_t* from = middle.const_data_ptr<uint8_t>();
  uint8_t* to = result.data_ptr<uint8_t>();
  parallel_for(0, height, 16, [&](int64_t begin, int64_t end) {
    std::vector<int32_t> sums(line);
    for (int64_t y = begin; y < end; ++y)
      down(from + filter.first[y] * line, line, filter.weights.data() + y * filter.taps, filter.count[y], sums.data(),
           to + y * line);
  });
  return result;
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rfdetr, library) {
  library.def("resize_rgb(Tensor pixels, int height, int width) -> Tensor");
  library.impl("resize_rgb", c10::DispatchKey::CPU, TORCH_FN(resize_rgb));
}

}  // namespace rfdetr
