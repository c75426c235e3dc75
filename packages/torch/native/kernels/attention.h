// Fused scaled dot-product attention for bfloat16 on CPUs with AVX512-BF16.
#pragma once
#include <cstdint>

namespace rfdetr::attention {

/// One tensor [batch, length, heads, width] with unit stride on the last axis; strides in elements, even.
struct View {
  uint16_t* data;
  int64_t batch_stride, row_stride, head_stride;
};

struct Problem {
  int64_t batch, heads, queries, keys, width;
  float scale;
};

bool supported();

/// out = softmax(scale·QKᵀ)·V and log-sum-exp [batch, heads, queries], for problems first…last of batch × heads.
void forward(const Problem& problem, View query, View key, View value, View out, float* lse, int64_t first,
             int64_t last);

/// Gradients of the same, from its result and log-sum-exp.
void backward(const Problem& problem, View query, View key, View value, View out, View out_gradient, const float* lse,
              View query_gradient, View key_gradient, View value_gradient, int64_t first, int64_t last);

}  // namespace rfdetr::attention
