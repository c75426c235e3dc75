// What the passes of the optimizer share: pieces of work, the numbers of an update, the update of one element.
#pragma once

#include "every_cpu.h"

#include <ATen/ATen.h>

#include <cmath>
#include <vector>

namespace rfdetr::optimizer {

/// Elements of a piece of work. Tensors are cut into pieces, so that threads share very different sizes evenly.
constexpr int64_t piece = 1 << 16;

struct Piece {
  size_t tensor;
  int64_t begin, end;
};

inline std::vector<Piece> pieces_of(at::TensorList tensors) {
  std::vector<Piece> pieces;
  for (size_t i = 0; i < tensors.size(); ++i)
    for (int64_t begin = 0; begin < tensors[i].numel(); begin += piece)
      pieces.push_back({i, begin, std::min(begin + piece, tensors[i].numel())});
  return pieces;
}

inline void check_list(at::TensorList tensors, at::TensorList like, const char* what) {
  TORCH_CHECK(tensors.size() == like.size(), "Expected ", like.size(), " tensors for ", what, " but received ",
              tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i)
    TORCH_CHECK(tensors[i].device().is_cpu() && tensors[i].scalar_type() == at::kFloat && tensors[i].is_contiguous() &&
                    tensors[i].numel() == like[i].numel(),
                "Expected a contiguous float32 CPU tensor of ", like[i].numel(), " elements for ", what, " ", i,
                " but received ", tensors[i].toString(), " of shape ", tensors[i].sizes());
}

/// Numbers of one parameter's update.
struct Rates {
  float gradient_scale, decay, beta1, beta2, step_size, root_correction, eps, average_weight;
};

struct Settings {
  double beta1, beta2, eps;
  int64_t step;
  double gradient_scale, average_weight;

  Rates rates(double lr, double weight_decay) const {
    return {static_cast<float>(gradient_scale),
            static_cast<float>(1 - lr * weight_decay),
            static_cast<float>(beta1),
            static_cast<float>(beta2),
            static_cast<float>(lr / (1 - std::pow(beta1, step))),
            static_cast<float>(std::sqrt(1 - std::pow(beta2, step))),
            static_cast<float>(eps),
            static_cast<float>(average_weight)};
  }
};

/// Every rounding is written out, so that vectors, their remainders and all passes agree to the bit.
ALWAYS_INLINE float adamw_of(float parameter, float gradient, float& first, float& second, const Rates& rate) {
  const float g = gradient * rate.gradient_scale;
  const float m = __builtin_fmaf(g - first, 1 - rate.beta1, first);
  const float v = __builtin_fmaf(g * g, 1 - rate.beta2, second * rate.beta2);
  first = m;
  second = v;
  return __builtin_fmaf(-rate.step_size, m / (std::sqrt(v) / rate.root_correction + rate.eps), parameter * rate.decay);
}

/// Moves an average towards a value as aten::lerp does: from the nearer end, with one rounding.
ALWAYS_INLINE float moved(float average, float value, float weight) {
  return weight < 0.5f ? __builtin_fmaf(weight, value - average, average)
                       : __builtin_fmaf(weight - 1, value - average, value);
}

/// One for each parameter. @throws c10::Error where the numbers are not those of a step
inline std::vector<Rates> rates_of(size_t parameters, const Settings& settings, at::ArrayRef<double> lrs,
                                   at::ArrayRef<double> weight_decays) {
  TORCH_CHECK(lrs.size() == parameters && weight_decays.size() == parameters, "Expected ", parameters,
              " learning rates and weight decays but received ", lrs.size(), " and ", weight_decays.size());
  TORCH_CHECK(settings.step >= 1, "Expected a positive integer for step but received ", settings.step);
  std::vector<Rates> rates;
  for (size_t i = 0; i < parameters; ++i) rates.push_back(settings.rates(lrs[i], weight_decays[i]));
  return rates;
}

}  // namespace rfdetr::optimizer
