// compile: -O3 -fno-trapping-math
// rfdetr::deformable_attention: multi-scale deformable attention from projected offsets and logits to summed samples,
// in one pass. Composed from operators, every sample of every channel is written to memory several times, forward and
// backward; here the value map of a head stays in the cache and a sample in registers. The rest is composed.
#include "autograd_function.h"
#include "deformable_sampling.h"
#include "isa.h"
#include "parallel.h"

#include <ATen/ATen.h>
#include <torch/library.h>

namespace rfdetr::deformable {

namespace {

using at::BFloat16;

// A function for one CPU cannot be a template.
#define HEAD_FUNCTION(name, head_function, Value, Projected)                                           \
  WITH_AVX512 void name##_wide(const Problem& p, const Head<Value, Projected>& head, float* scratch) { \
    head_function<16>(p, head, scratch);                                                               \
  }                                                                                                    \
  EVERY_CPU void name##_narrow(const Problem& p, const Head<Value, Projected>& head, float* scratch) { \
    head_function<8>(p, head, scratch);                                                                \
  }                                                                                                    \
  void name(const Problem& p, const Head<Value, Projected>& head, float* scratch) {                    \
    isa() >= Isa::avx512 ? name##_wide(p, head, scratch) : name##_narrow(p, head, scratch);            \
  }
#define HEAD_FUNCTIONS(Value, Projected)                     \
  HEAD_FUNCTION(run_forward, forward_head, Value, Projected) \
  HEAD_FUNCTION(run_backward, backward_head, Value, Projected)
HEAD_FUNCTIONS(float, float)
HEAD_FUNCTIONS(float, BFloat16)
HEAD_FUNCTIONS(BFloat16, float)
HEAD_FUNCTIONS(BFloat16, BFloat16)
#undef HEAD_FUNCTIONS
#undef HEAD_FUNCTION

Problem problem_of(const at::Tensor& value, at::IntArrayRef shapes, const at::Tensor& offsets) {
  Problem p{value.size(0), value.size(1), value.size(2), value.size(3), offsets.size(1), offsets.size(4), {}};
  int64_t start = 0;
  for (size_t i = 0; i < shapes.size(); i += 2) {
    p.levels.push_back({shapes[i], shapes[i + 1], start});
    start += shapes[i] * shapes[i + 1];
  }
  return p;
}

/// Calls `body` with values of the dtypes of the two tensors.
template <class Body>
void with_dtypes(const at::Tensor& value, const at::Tensor& projected, Body&& body) {
  const bool bf16_value = value.scalar_type() == at::kBFloat16;
  const bool bf16_projected = projected.scalar_type() == at::kBFloat16;
  if (bf16_value && bf16_projected)
    body(BFloat16{}, BFloat16{});
  else if (bf16_value)
    body(BFloat16{}, float{});
  else if (bf16_projected)
    body(float{}, BFloat16{});
  else
    body(float{}, float{});
}

/// Runs `body(b, h, scratch)` for every head, each on one thread: sums have one order, whatever the thread count.
template <class Body>
void for_heads(const Problem& p, int64_t scratch_size, Body&& body) {
  parallel_for(0, p.batch * p.heads, 1, [&](int64_t first, int64_t last) {
    std::vector<float> scratch(scratch_size);
    for (int64_t i = first; i < last; ++i) body(i / p.heads, i % p.heads, scratch.data());
  });
}

struct DeformableAttention : torch::autograd::Function<DeformableAttention> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& value_in, at::IntArrayRef shapes,
                            const at::Tensor& reference_in, const at::Tensor& offsets_in, const at::Tensor& logits_in) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const at::Tensor value = value_in.contiguous(), reference = reference_in.contiguous();
    const at::Tensor offsets = offsets_in.contiguous(), logits = logits_in.contiguous();
    const Problem p = problem_of(value, shapes, offsets);
    at::Tensor out = at::empty({p.batch, p.queries, p.heads * p.channels}, value.options());
    with_dtypes(value, offsets, [&]<class Value, class Projected>(Value, Projected) {
      for_heads(p, p.forward_scratch(), [&](int64_t b, int64_t h, float* scratch) {
        Head<Value, Projected> head{};
        head.value = value.const_data_ptr<Value>() + (b * p.tokens * p.heads + h) * p.channels;
        head.reference = reference.const_data_ptr<float>() + b * p.queries * 4;
        head.offsets = offsets.const_data_ptr<Projected>() + (b * p.queries * p.heads + h) * p.samples() * 2;
        head.logits = logits.const_data_ptr<Projected>() + (b * p.queries * p.heads + h) * p.samples();
        head.out = out.data_ptr<Value>() + (b * p.queries * p.heads + h) * p.channels;
        run_forward(p, head, scratch);
      });
    });
    context->save_for_backward({value, reference, offsets, logits});
    context->saved_data["shapes"] = shapes.vec();
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &value = saved[0], &reference = saved[1], &offsets = saved[2], &logits = saved[3];
    const Problem p = problem_of(value, context->saved_data["shapes"].toIntVector(), offsets);
    const at::Tensor gradient = gradients[0].to(value.scalar_type()).contiguous();
    at::Tensor value_gradient = at::empty(value.sizes(), value.options());
    at::Tensor offset_gradient = at::empty(offsets.sizes(), offsets.options());
    at::Tensor logit_gradient = at::empty(logits.sizes(), logits.options());
    at::Tensor reference_gradient = at::empty({p.batch, p.heads, p.queries, 4}, reference.options());
    with_dtypes(value, offsets, [&]<class Value, class Projected>(Value, Projected) {
      for_heads(p, p.backward_scratch(), [&](int64_t b, int64_t h, float* scratch) {
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
        run_backward(p, head, scratch);
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
  const auto dtype = reference.scalar_type();
  const at::Tensor weights = logits.to(dtype).softmax(-1);
  const auto box = reference.view({batch, queries, 1, 1, 1, 4}).chunk(2, -1);
  const at::Tensor grid =
      (box[0] + offsets.to(dtype) * box[1] * (0.5 / points)).mul(2).sub(1).transpose(1, 2).flatten(0, 1);
  const at::Tensor map = value.to(dtype).permute({0, 2, 3, 1}).flatten(0, 1);
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

void check_inputs(const at::Tensor& value, at::IntArrayRef shapes, const at::Tensor& reference,
                  const at::Tensor& offsets, const at::Tensor& logits) {
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
              "Expected a floating-point reference of shape ", boxes, " but received ", reference.toString(), " of ",
              reference.sizes());
  TORCH_CHECK(logits.sizes() == scores && logits.is_floating_point(), "Expected logits of shape ", scores,
              " in a floating-point dtype but received ", logits.toString(), " of ", logits.sizes());
}

bool kernel_applies(const at::Tensor& value, const at::Tensor& reference, const at::Tensor& offsets,
                    const at::Tensor& logits) {
  const auto is_f32_or_bf16 = [](const at::Tensor& t) {
    return t.scalar_type() == at::kFloat || t.scalar_type() == at::kBFloat16;
  };
  return value.device().is_cpu() && reference.device().is_cpu() && offsets.device().is_cpu() &&
         reference.scalar_type() == at::kFloat && is_f32_or_bf16(value) && is_f32_or_bf16(offsets) &&
         is_f32_or_bf16(logits) && value.numel() > 0 && offsets.numel() > 0;
}

/// The reference in the dtype of all computation, float32 or float64: coordinates in bfloat16 are off by pixels.
at::Tensor in_full_precision(const at::Tensor& reference) {
  return reference.scalar_type() == at::kDouble ? reference : reference.to(at::kFloat);
}

at::Tensor deformable_attention(const at::Tensor& value, at::IntArrayRef shapes, const at::Tensor& reference_in,
                                const at::Tensor& offsets, const at::Tensor& logits) {
  check_inputs(value, shapes, reference_in, offsets, logits);
  const at::Tensor reference = in_full_precision(reference_in);
  if (!kernel_applies(value, reference, offsets, logits)) return composed(value, shapes, reference, offsets, logits);
  // A precision policy may have raised one of the two projections.
  const at::ScalarType wider = at::promote_types(offsets.scalar_type(), logits.scalar_type());
  return DeformableAttention::apply(value, shapes, reference, offsets.to(wider), logits.to(wider));
}

at::Tensor deformable_attention_composed(const at::Tensor& value, at::IntArrayRef shapes, const at::Tensor& reference,
                                         const at::Tensor& offsets, const at::Tensor& logits) {
  check_inputs(value, shapes, reference, offsets, logits);
  return composed(value, shapes, in_full_precision(reference), offsets, logits);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rfdetr, library) {
  library.def(
      "deformable_attention(Tensor value, int[] shapes, Tensor reference, Tensor offsets, Tensor logits) -> Tensor",
      TORCH_FN(deformable_attention));
  library.def(
      "deformable_attention_composed(Tensor value, int[] shapes, Tensor reference, Tensor offsets, Tensor logits) -> "
      "Tensor",
      TORCH_FN(deformable_attention_composed));
}

}  // namespace rfdetr::deformable
