// Fused scaled dot-product attention for bfloat16 on CPUs with AVX512-BF16. Each function runs on the calling thread.
#pragma once
#include <cstdint>

namespace rfdetr::attention {

/// A tensor [batch, length, heads, width] with unit stride on the last axis. Strides in elements, all even.
struct View {
  uint16_t* data;
  int64_t batch_stride, row_stride, head_stride;

  uint16_t* head(int64_t batch, int64_t head) const { return data + batch * batch_stride + head * head_stride; }
};

/// `width` is a multiple of 32. The scores are multiplied by `scale`, which is positive.
struct Problem {
  int64_t batch, heads, queries, keys, width;
  float scale;
};

/// The inputs of attention, or their gradients.
struct Inputs {
  View query, key, value;
};

/// `lse` [batch, heads, queries]: the logarithm of the sum of exp(scaled score) of each query.
struct Result {
  View out;
  float* lse;
};

/// out = softmax(scale·QKᵀ)·V for (batch, head) pairs first…last of batch × heads.
void forward(const Problem& problem, const Inputs& inputs, const Result& result, int64_t first, int64_t last);

/// Writes the gradients of the inputs, from the result of forward and the gradient of `out`.
void backward(const Problem& problem, const Inputs& inputs, const Result& result, const View& out_gradient,
              const Inputs& gradients, int64_t first, int64_t last);

}  // namespace rfdetr::attention
