// Fused scaled dot-product attention: the interface of its kernels. Each function runs on the calling thread.
#pragma once
#include <cstdint>

namespace rfdetr::attention {

/// A bfloat16 value in memory.
using Bf16 = uint16_t;

/// A tensor [batch, length, heads, width] with unit stride on the last axis. Strides in elements.
template <class T>
struct View {
  T* data;
  int64_t batch_stride, row_stride, head_stride;

  T* head(int64_t batch, int64_t head) const { return data + batch * batch_stride + head * head_stride; }
};

/// The scores are multiplied by `scale`.
struct Problem {
  int64_t batch, heads, queries, keys, width;
  float scale;
};

/// The inputs of attention, or their gradients.
template <class T>
struct Inputs {
  View<T> query, key, value;
};

/// `statistics` [batch, heads, queries, the kernel's count]: what backward needs of each row of weights.
template <class T>
struct Result {
  View<T> out;
  float* statistics;
};

/// A kernel for elements T.
template <class T>
struct Kernel {
  /// Queries of a unit of forward; the result does not depend on which units a call takes. 0: all queries of a head.
  int64_t unit;
  /// float32 values for each query between forward and backward.
  int64_t statistics;
  /// out = softmax(scale·QKᵀ)·V for units first…last of batch × heads × units of a head.
  void (*forward)(const Problem&, const Inputs<T>&, const Result<T>&, int64_t first, int64_t last);
  /// Writes the gradients of the inputs, from the result of forward and the gradient of `out`, for (batch, head) pairs
  /// first…last of batch × heads.
  void (*backward)(const Problem&, const Inputs<T>& inputs, const Result<T>&, const View<T>& out_gradient,
                   const Inputs<T>& gradients, int64_t first, int64_t last);
};

/// The kernels on vectors of float32, which take any sizes and strides.
struct VectorKernels {
  Kernel<float> f32;
  Kernel<Bf16> bf16;
};

/// The same source compiled for one instruction set. Null where the compiler did not take its flags.
const VectorKernels* avx512_kernels();
const VectorKernels* avx2_kernels();
const VectorKernels* baseline_kernels();

/// The kernel on pairs of bfloat16, for CPUs with AVX512-BF16: for even strides, widths that are a multiple of 32, and
/// a positive scale; null on CPUs of other kinds.
const Kernel<Bf16>* bf16_pair_kernel();
/// The same in matrix units; null where the compiler did not take its flags.
const Kernel<Bf16>* bf16_tile_kernel();

}  // namespace rfdetr::attention
