// compile: -O3 -fno-math-errno -fno-trapping-math
// rfdetr::deformable_attention: multi-scale deformable attention from projected offsets and logits to summed samples in
// one pass. The composition writes every sample of every channel to memory several times, forward and backward; here a
// head's value map stays in the cache and a sample lives in registers. Other devices and dtypes take the composition,
// the kernel's plain twin.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <cmath>
#include <cstring>
#include <vector>

#if defined(__x86_64__) && defined(__gnu_linux__)
#define EVERY_CPU __attribute__((target_clones("avx512f", "arch=x86-64-v3", "default")))
#else
#define EVERY_CPU
#endif
#define INLINE inline __attribute__((always_inline))

namespace rfdetr {

namespace {

constexpr int64_t lanes = 16;
using Lanes = float __attribute__((vector_size(lanes * sizeof(float))));

INLINE float sum(const Lanes& v) {
  float part[lanes];
  std::memcpy(part, &v, sizeof(v));
  for (int half = lanes / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) part[i] += part[i + half];
  return part[0];
}

struct Level {
  int64_t height, width, start;
};

struct Problem {
  int64_t batch, tokens, heads, channels, queries, points;
  std::vector<Level> levels;
  int64_t samples() const { return static_cast<int64_t>(levels.size()) * points; }
  /// Channels of the scratch maps, filled up with zeros.
  int64_t padded() const { return (channels + lanes - 1) / lanes * lanes; }
};

/// One (batch, head): pointers to its first elements. Of `reference_gradient` every head has rows of its own.
template <class Value, class Projected>
struct Head {
  const Value* value;
  const float* reference;
  const Projected *offsets, *logits;
  Value* out;
  const Value* out_gradient;
  Value* value_gradient;
  float* reference_gradient;
  Projected *offset_gradient, *logit_gradient;
};

template <class Value>
INLINE void load_map(const Problem& p, const Value* value, float* map) {
  const int64_t width = p.padded();
  for (int64_t s = 0; s < p.tokens; ++s)
    for (int64_t c = 0; c < p.channels; ++c)
      map[s * width + c] = static_cast<float>(value[s * p.heads * p.channels + c]);
}

/// Softmax of one query's logits.
template <class Projected>
INLINE void softmax(const Projected* logits, int64_t count, float* weights) {
  float peak = static_cast<float>(logits[0]);
  for (int64_t i = 1; i < count; ++i) peak = std::max(peak, static_cast<float>(logits[i]));
  float total = 0;
  for (int64_t i = 0; i < count; ++i) total += weights[i] = std::exp(static_cast<float>(logits[i]) - peak);
  for (int64_t i = 0; i < count; ++i) weights[i] /= total;
}

/// Where a sample falls: the four cells around it, as rows of the map (null outside, where values count as zero).
struct Place {
  float x, y;       // fractions inside of the cell
  int64_t rows[4];  // upper left, upper right, lower left, lower right; −1 outside
  bool inside;
};

template <class Projected>
INLINE Place place(const Level& level, const float* reference, const Projected* offset, float per_point) {
  // In the steps of the composition: location, grid in [−1, 1], pixel.
  const float left = reference[0] + static_cast<float>(offset[0]) * reference[2] * per_point;
  const float top = reference[1] + static_cast<float>(offset[1]) * reference[3] * per_point;
  const float x = ((left * 2 - 1 + 1) * level.width - 1) / 2, y = ((top * 2 - 1 + 1) * level.height - 1) / 2;
  Place at{};
  at.inside = x > -1 && y > -1 && x < level.width && y < level.height;
  if (!at.inside) {
    at.x = x * 0 + y * 0;  // NaN where a coordinate is not finite
    return at;
  }
  const float column = std::floor(x), row = std::floor(y);
  const auto c = static_cast<int64_t>(column), r = static_cast<int64_t>(row);
  at.x = x - column;
  at.y = y - row;
  const bool first_column = c >= 0, last_column = c + 1 < level.width, first_row = r >= 0,
             last_row = r + 1 < level.height;
  const int64_t origin = level.start + r * level.width + c;
  at.rows[0] = first_row && first_column ? origin : -1;
  at.rows[1] = first_row && last_column ? origin + 1 : -1;
  at.rows[2] = last_row && first_column ? origin + level.width : -1;
  at.rows[3] = last_row && last_column ? origin + level.width + 1 : -1;
  return at;
}

INLINE Lanes load(const float* map, int64_t row, int64_t width, int64_t block) {
  Lanes v = {};
  if (row >= 0) std::memcpy(&v, map + row * width + block * lanes, sizeof(v));
  return v;
}

template <class Value>
INLINE void store(const Lanes& v, Value* to, int64_t count) {
  float part[lanes];
  std::memcpy(part, &v, sizeof(v));
  for (int64_t c = 0; c < count; ++c) to[c] = static_cast<Value>(part[c]);
}

template <class Value, class Projected>
INLINE void forward_head(const Problem& p, const Head<Value, Projected>& head, float* scratch) {
  const int64_t width = p.padded(), samples = p.samples(), blocks = width / lanes;
  float *map = scratch, *weights = map + p.tokens * width;
  load_map(p, head.value, map);
  const float per_point = static_cast<float>(0.5 / p.points);
  for (int64_t q = 0; q < p.queries; ++q) {
    const int64_t row = q * p.heads;
    softmax(head.logits + row * samples, samples, weights);
    for (int64_t block = 0; block < blocks; ++block) {
      Lanes total = {};
      for (int64_t i = 0; i < samples; ++i) {
        const Place at =
            place(p.levels[i / p.points], head.reference + q * 4, head.offsets + (row * samples + i) * 2, per_point);
        if (!at.inside) {
          total += at.x + weights[i] * 0;
          continue;
        }
        const float w = weights[i];
        total += load(map, at.rows[0], width, block) * (w * (1 - at.x) * (1 - at.y)) +
                 load(map, at.rows[1], width, block) * (w * at.x * (1 - at.y)) +
                 load(map, at.rows[2], width, block) * (w * (1 - at.x) * at.y) +
                 load(map, at.rows[3], width, block) * (w * at.x * at.y);
      }
      store(total, head.out + row * p.channels + block * lanes, std::min(lanes, p.channels - block * lanes));
    }
  }
}

template <class Value, class Projected>
INLINE void backward_head(const Problem& p, const Head<Value, Projected>& head, float* scratch) {
  const int64_t width = p.padded(), samples = p.samples(), blocks = width / lanes;
  float *map = scratch, *gradient_map = map + p.tokens * width, *gradient = gradient_map + p.tokens * width,
        *weights = gradient + width, *slopes = weights + samples;
  load_map(p, head.value, map);
  std::memset(gradient_map, 0, p.tokens * width * sizeof(float));
  const float per_point = static_cast<float>(0.5 / p.points);
  for (int64_t q = 0; q < p.queries; ++q) {
    const int64_t row = q * p.heads;
    const float* reference = head.reference + q * 4;
    softmax(head.logits + row * samples, samples, weights);
    for (int64_t c = 0; c < p.channels; ++c) gradient[c] = static_cast<float>(head.out_gradient[row * p.channels + c]);
    float moved[4] = {0, 0, 0, 0};
    float mean = 0;
    for (int64_t i = 0; i < samples; ++i) {
      const Level& level = p.levels[i / p.points];
      const Projected* offset = head.offsets + (row * samples + i) * 2;
      const Place at = place(level, reference, offset, per_point);
      float slope = 0, dx = 0, dy = 0;
      if (at.inside) {
        const float w = weights[i];
        const float shares[4] = {(1 - at.x) * (1 - at.y), at.x * (1 - at.y), (1 - at.x) * at.y, at.x * at.y};
        Lanes by_weight = {}, by_x = {}, by_y = {};
        for (int64_t block = 0; block < blocks; ++block) {
          Lanes g, cell[4];
          std::memcpy(&g, gradient + block * lanes, sizeof(g));
          for (int k = 0; k < 4; ++k) cell[k] = load(map, at.rows[k], width, block);
          const Lanes upper = cell[0] + (cell[1] - cell[0]) * at.x, lower = cell[2] + (cell[3] - cell[2]) * at.x;
          by_weight += g * (upper + (lower - upper) * at.y);
          by_x += g * ((cell[1] - cell[0]) * (1 - at.y) + (cell[3] - cell[2]) * at.y);
          by_y += g * (lower - upper);
          const Lanes weighted = g * w;
          for (int k = 0; k < 4; ++k) {
            if (at.rows[k] < 0) continue;
            float* to = gradient_map + at.rows[k] * width + block * lanes;
            Lanes sums;
            std::memcpy(&sums, to, sizeof(sums));
            sums += weighted * shares[k];
            std::memcpy(to, &sums, sizeof(sums));
          }
        }
        slope = sum(by_weight);
        dx = sum(by_x) * w * level.width;
        dy = sum(by_y) * w * level.height;
      } else {
        slope = at.x;
      }
      slopes[i] = slope;
      mean += slope * weights[i];
      Projected* to = head.offset_gradient + (row * samples + i) * 2;
      to[0] = static_cast<Projected>(dx * reference[2] * per_point);
      to[1] = static_cast<Projected>(dy * reference[3] * per_point);
      moved[0] += dx;
      moved[1] += dy;
      moved[2] += dx * static_cast<float>(offset[0]) * per_point;
      moved[3] += dy * static_cast<float>(offset[1]) * per_point;
    }
    for (int64_t i = 0; i < samples; ++i)
      head.logit_gradient[row * samples + i] = static_cast<Projected>(weights[i] * (slopes[i] - mean));
    std::memcpy(head.reference_gradient + q * 4, moved, sizeof(moved));
  }
  for (int64_t s = 0; s < p.tokens; ++s)
    for (int64_t c = 0; c < p.channels; ++c)
      head.value_gradient[s * p.heads * p.channels + c] = static_cast<Value>(gradient_map[s * width + c]);
}

using Half = at::BFloat16;
EVERY_CPU void forward_one(const Problem& p, const Head<float, float>& head, float* scratch) {
  forward_head(p, head, scratch);
}
EVERY_CPU void forward_one(const Problem& p, const Head<float, Half>& head, float* scratch) {
  forward_head(p, head, scratch);
}
EVERY_CPU void forward_one(const Problem& p, const Head<Half, float>& head, float* scratch) {
  forward_head(p, head, scratch);
}
EVERY_CPU void forward_one(const Problem& p, const Head<Half, Half>& head, float* scratch) {
  forward_head(p, head, scratch);
}
EVERY_CPU void backward_one(const Problem& p, const Head<float, float>& head, float* scratch) {
  backward_head(p, head, scratch);
}
EVERY_CPU void backward_one(const Problem& p, const Head<float, Half>& head, float* scratch) {
  backward_head(p, head, scratch);
}
EVERY_CPU void backward_one(const Problem& p, const Head<Half, float>& head, float* scratch) {
  backward_head(p, head, scratch);
}
EVERY_CPU void backward_one(const Problem& p, const Head<Half, Half>& head, float* scratch) {
  backward_head(p, head, scratch);
}

Problem problem_of(const at::Tensor& value, at::IntArrayRef shapes, const at::Tensor& offsets) {
  Problem p{value.size(0), value.size(1), value.size(2), value.size(3), offsets.size(1), offsets.size(4), {}};
  int64_t start = 0;
  for (size_t i = 0; i < shapes.size(); i += 2) {
    p.levels.push_back({shapes[i], shapes[i + 1], start});
    start += shapes[i] * shapes[i + 1];
  }
  return p;
}

template <class Body>
void dispatch(const at::Tensor& value, const at::Tensor& projected, Body&& body) {
  const bool half_value = value.scalar_type() == at::kBFloat16,
             half_projected = projected.scalar_type() == at::kBFloat16;
  if (half_value && half_projected)
    body(Half{}, Half{});
  else if (half_value)
    body(Half{}, float{});
  else if (half_projected)
    body(float{}, Half{});
  else
    body(float{}, float{});
}

/// Runs `body(problem index, scratch)` for every (batch, head), each wholly on one thread: sums have one order whatever
/// the thread count.
template <class Body>
void for_heads(const Problem& p, int64_t scratch_size, Body&& body) {
  at::parallel_for(0, p.batch * p.heads, 1, [&](int64_t first, int64_t last) {
    std::vector<float> scratch(scratch_size);
    for (int64_t i = first; i < last; ++i) body(i / p.heads, i % p.heads, scratch.data());
  });
}

struct DeformableAttention : torch::autograd::Function<DeformableAttention> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& value_in,
                            at::IntArrayRef shapes, const at::Tensor& reference_in, const at::Tensor& offsets_in,
                            const at::Tensor& logits_in) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const at::Tensor value = value_in.contiguous(), reference = reference_in.contiguous(),
                     offsets = offsets_in.contiguous(), logits = logits_in.contiguous();
    const Problem p = problem_of(value, shapes, offsets);
    at::Tensor out = at::empty({p.batch, p.queries, p.heads * p.channels}, value.options());
    dispatch(value, offsets, [&]<class Value, class Projected>(Value, Projected) {
      for_heads(p, p.tokens * p.padded() + p.samples(), [&](int64_t b, int64_t h, float* scratch) {
        Head<Value, Projected> head{};
        head.value = value.const_data_ptr<Value>() + (b * p.tokens * p.heads + h) * p.channels;
        head.reference = reference.const_data_ptr<float>() + b * p.queries * 4;
        head.offsets = offsets.const_data_ptr<Projected>() + (b * p.queries * p.heads + h) * p.samples() * 2;
        head.logits = logits.const_data_ptr<Projected>() + (b * p.queries * p.heads + h) * p.samples();
        head.out = out.data_ptr<Value>() + (b * p.queries * p.heads + h) * p.channels;
        forward_one(p, head, scratch);
      });
    });
    context->save_for_backward({value, reference, offsets, logits});
    context->saved_data["shapes"] = shapes.vec();
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &value = saved[0], &reference = saved[1], &offsets = saved[2], &logits = saved[3];
    const Problem p = problem_of(value, context->saved_data["shapes"].toIntVector(), offsets);
    const at::Tensor gradient = gradients[0].to(value.scalar_type()).contiguous();
    at::Tensor value_gradient = at::empty(value.sizes(), value.options());
    at::Tensor offset_gradient = at::empty(offsets.sizes(), offsets.options());
    at::Tensor logit_gradient = at::empty(logits.sizes(), logits.options());
    at::Tensor reference_gradient = at::empty({p.batch, p.heads, p.queries, 4}, reference.options());
    dispatch(value, offsets, [&]<class Value, class Projected>(Value, Projected) {
      for_heads(p, 2 * p.tokens * p.padded() + p.padded() + 2 * p.samples(), [&](int64_t b, int64_t h, float* scratch) {
        const int64_t channel = (b * p.queries * p.heads + h) * p.channels,
                      sample = (b * p.queries * p.heads + h) * p.samples(),
                      cell = (b * p.tokens * p.heads + h) * p.channels;
        Head<Value, Projected> head{};
        head.value = value.const_data_ptr<Value>() + cell;
        head.reference = reference.const_data_ptr<float>() + b * p.queries * 4;
        head.offsets = offsets.const_data_ptr<Projected>() + sample * 2;
        head.logits = logits.const_data_ptr<Projected>() + sample;
        head.out_gradient = gradient.const_data_ptr<Value>() + channel;
        head.value_gradient = value_gradient.data_ptr<Value>() + cell;
        head.reference_gradient = reference_gradient.data_ptr<float>() + (b * p.heads + h) * p.queries * 4;
        head.offset_gradient = offset_gradient.data_ptr<Projected>() + sample * 2;
        head.logit_gradient = logit_gradient.data_ptr<Projected>() + sample;
        backward_one(p, head, scratch);
      });
    });
    return {value_gradient, at::Tensor(), context->needs_input_grad(1) ? reference_gradient.sum(1) : at::Tensor(),
            offset_gradient, logit_gradient};
  }
};

at::Tensor composed(const at::Tensor& value, at::IntArrayRef shapes, const at::Tensor& reference,
                    const at::Tensor& offsets, const at::Tensor& logits) {
  const int64_t batch = value.size(0), heads = value.size(2), channels = value.size(3), queries = offsets.size(1),
                levels = offsets.size(3), points = offsets.size(4);
  const auto wide = reference.scalar_type();
  const at::Tensor weights = logits.to(wide).softmax(-1);
  const auto box = reference.view({batch, queries, 1, 1, 1, 4}).chunk(2, -1);
  const at::Tensor grid =
      (box[0] + offsets.to(wide) * box[1] * (0.5 / points)).mul(2).sub(1).transpose(1, 2).flatten(0, 1);
  const at::Tensor map = value.to(wide).permute({0, 2, 3, 1}).flatten(0, 1);
  std::vector<at::Tensor> samples;
  int64_t start = 0;
  for (int64_t level = 0; level < levels; ++level) {
    const int64_t height = shapes[2 * level], width = shapes[2 * level + 1];
    samples.push_back(at::grid_sampler(map.narrow(2, start, height * width).unflatten(2, {height, width}),
                                       grid.select(2, level), 0, 0, false));
    start += height * width;
  }
  const at::Tensor weighted =
      at::cat(samples, -1) * weights.transpose(1, 2).reshape({batch * heads, 1, queries, levels * points});
  return weighted.sum(-1).view({batch, heads * channels, queries}).transpose(1, 2).to(value.scalar_type());
}

void check(const at::Tensor& value, at::IntArrayRef shapes, const at::Tensor& reference, const at::Tensor& offsets,
           const at::Tensor& logits) {
  TORCH_CHECK(value.dim() == 4, "Expected value [batch, tokens, heads, channels] but received ", value.sizes());
  TORCH_CHECK(shapes.size() % 2 == 0 && !shapes.empty(),
              "Expected height and width of every level in shapes but received ", shapes.size(), " numbers");
  int64_t tokens = 0;
  for (size_t i = 0; i < shapes.size(); i += 2) {
    TORCH_CHECK(shapes[i] > 0 && shapes[i + 1] > 0, "Expected positive heights and widths in shapes but received ",
                shapes);
    tokens += shapes[i] * shapes[i + 1];
  }
  const auto levels = static_cast<int64_t>(shapes.size() / 2);
  TORCH_CHECK(tokens == value.size(1), "Expected ", tokens, " tokens in value for levels ", shapes, " but received ",
              value.sizes());
  TORCH_CHECK(offsets.dim() == 6 && offsets.size(0) == value.size(0) && offsets.size(2) == value.size(2) &&
                  offsets.size(3) == levels && offsets.size(4) > 0 && offsets.size(5) == 2,
              "Expected offsets [", value.size(0), ", queries, ", value.size(2), ", ", levels,
              ", points, 2] but received ", offsets.sizes());
  const std::vector<int64_t> boxes = {value.size(0), offsets.size(1), 4},
                             scores = {value.size(0), offsets.size(1), value.size(2), levels * offsets.size(4)};
  TORCH_CHECK(reference.sizes() == boxes && reference.is_floating_point(),
              "Expected floating-point reference of shape ", boxes, " but received ", reference.toString(), " of ",
              reference.sizes());
  TORCH_CHECK(logits.sizes() == scores && logits.scalar_type() == offsets.scalar_type(), "Expected logits of shape ",
              scores, " in the dtype of the offsets but received ", logits.toString(), " of ", logits.sizes());
}

bool fits(const at::Tensor& value, const at::Tensor& reference, const at::Tensor& offsets) {
  const auto small = [](const at::Tensor& t) {
    return t.scalar_type() == at::kFloat || t.scalar_type() == at::kBFloat16;
  };
  return value.device().is_cpu() && reference.device().is_cpu() && offsets.device().is_cpu() &&
         reference.scalar_type() == at::kFloat && small(value) && small(offsets) && value.numel() > 0 &&
         offsets.numel() > 0;
}

/// Everything is computed in the dtype of the reference, float32 at least: half coordinates are off by pixels.
at::Tensor widened(const at::Tensor& reference) {
  return reference.scalar_type() == at::kDouble ? reference : reference.to(at::kFloat);
}

at::Tensor entry(const at::Tensor& value, at::IntArrayRef shapes, const at::Tensor& reference,
                 const at::Tensor& offsets, const at::Tensor& logits) {
  check(value, shapes, reference, offsets, logits);
  const at::Tensor wide = widened(reference);
  return fits(value, wide, offsets) ? DeformableAttention::apply(value, shapes, wide, offsets, logits)
                                    : composed(value, shapes, wide, offsets, logits);
}

at::Tensor composed_entry(const at::Tensor& value, at::IntArrayRef shapes, const at::Tensor& reference,
                          const at::Tensor& offsets, const at::Tensor& logits) {
  check(value, shapes, reference, offsets, logits);
  return composed(value, shapes, widened(reference), offsets, logits);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rfdetr, library) {
  library.def(
      "deformable_attention(Tensor value, int[] shapes, Tensor reference, Tensor offsets, Tensor logits) -> Tensor");
  library.impl("deformable_attention", c10::DispatchKey::CompositeImplicitAutograd, TORCH_FN(entry));
  library.def(
      "deformable_attention_composed(Tensor value, int[] shapes, Tensor reference, Tensor offsets, Tensor logits) -> "
      "Tensor");
  library.impl("deformable_attention_composed", c10::DispatchKey::CompositeImplicitAutograd, TORCH_FN(composed_entry));
}

}  // namespace rfdetr
