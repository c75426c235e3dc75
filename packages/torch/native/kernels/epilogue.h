// What happens to the elements of a matrix product as they are written, while they are still in registers.
#pragma once
#include <cstdint>

namespace rfdetr::gemm {

enum class Activation { none, relu, gelu };

/// Steps in the order in which they happen. Matrices have the dtype, the shape and the stride of the output.
struct Epilogue {
  const float* bias = nullptr;  // [columns]
  bool accumulate = false;      // adds to the float32 values that are in the output
  /// Applied to the output. `pre_activation`, if given, receives the values before it.
  Activation activation = Activation::none;
  void* pre_activation = nullptr;
  /// Multiplies the output, a gradient, by the derivative of this activation at `derivative_at`: its input, or for ReLU
  /// its input or result, which have the same sign.
  Activation derivative_of = Activation::none;
  const void* derivative_at = nullptr;

  /// Whether an activation or a derivative is applied.
  bool activates() const { return activation != Activation::none || derivative_of != Activation::none; }

  /// The epilogue of the part of the output that begins `bytes` after its first element, in column 0.
  Epilogue from(int64_t bytes) const {
    Epilogue part = *this;
    if (pre_activation) part.pre_activation = static_cast<char*>(pre_activation) + bytes;
    if (derivative_at) part.derivative_at = static_cast<const char*>(derivative_at) + bytes;
    return part;
  }
};

}  // namespace rfdetr::gemm
