// compile: -O3 -fno-math-errno -fno-trapping-math -ffp-contract=off
// One pass over the parameters of an optimizer step. A detector's weights, gradients and moments are 500 MB: reading
// them once instead of once per foreach operator is the whole gain.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <cmath>
#include <vector>

#if defined(__x86_64__) && defined(__gnu_linux__)
#define EVERY_CPU __attribute__((target_clones("avx512f", "arch=x86-64-v3", "default")))
#else
#define EVERY_CPU
#endif

namespace rfdetr {

namespace {

/// Work is cut into pieces of this many elements, so that threads share tensors of very different sizes evenly.
constexpr int64_t piece = 1 << 16;

struct Piece {
  size_t tensor;
  int64_t begin, end;
};

std::vector<Piece> pieces_of(at::TensorList tensors) {
  std::vector<Piece> pieces;
  for (size_t i = 0; i < tensors.size(); ++i)
    for (int64_t begin = 0; begin < tensors[i].numel(); begin += piece)
      pieces.push_back({i, begin, std::min(begin + piece, tensors[i].numel())});
  return pieces;
}

void check_list(at::TensorList tensors, at::TensorList like, const char* what) {
  TORCH_CHECK(tensors.size() == like.size(), "Expected ", like.size(), " tensors for ", what, " but received ",
              tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i)
    TORCH_CHECK(tensors[i].device().is_cpu() && tensors[i].scalar_type() == at::kFloat && tensors[i].is_contiguous() &&
                    tensors[i].numel() == like[i].numel(),
                "Expected a contiguous float32 CPU tensor of ", like[i].numel(), " elements for ", what, " ", i,
                " but received ", tensors[i].toString(), " of shape ", tensors[i].sizes());
}

EVERY_CPU double sum_of_squares(const float* values, int64_t count) {
  // In double: no overflow of a sum hides behind rounding. 32 sums at once, as one alone waits for each of its
  // additions.
  constexpr int64_t count_lanes = 32;
  double total = 0;
  for (int64_t begin = 0; begin < count; begin += 1024) {
    const int64_t end = std::min<int64_t>(begin + 1024, count);
    double lanes[count_lanes] = {};
    int64_t i = begin;
    for (; i + count_lanes <= end; i += count_lanes)
      for (int k = 0; k < count_lanes; ++k) lanes[k] += static_cast<double>(values[i + k]) * values[i + k];
    for (; i < end; ++i) lanes[0] += static_cast<double>(values[i]) * values[i];
    for (const double lane : lanes) total += lane;
  }
  return total;
}

/// The global L2 norm of a list of gradients in one pass; NaN or infinite as soon as one element is.
double gradient_norm(at::TensorList gradients) {
  check_list(gradients, gradients, "gradient");
  const auto pieces = pieces_of(gradients);
  std::vector<double> sums(pieces.size());
  at::parallel_for(0, static_cast<int64_t>(pieces.size()), 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i)
      sums[i] = sum_of_squares(gradients[pieces[i].tensor].const_data_ptr<float>() + pieces[i].begin,
                               pieces[i].end - pieces[i].begin);
  });
  double total = 0;  // in the order of the pieces, whatever the threads did
  for (const double sum : sums) total += sum;
  return std::sqrt(total);
}

struct Rates {
  float gradient_scale, decay, beta1, beta2, step_size, root_correction, eps, average_weight;
};

/// Roundings are spelt out, so that vectors, their remainders and both passes below agree to the bit.
inline __attribute__((always_inline)) float adamw_of(float parameter, float gradient, float& first, float& second,
                                                     const Rates& rate) {
  const float g = gradient * rate.gradient_scale;
  const float m = __builtin_fmaf(g - first, 1 - rate.beta1, first);
  const float v = __builtin_fmaf(g * g, 1 - rate.beta2, second * rate.beta2);
  first = m;
  second = v;
  return __builtin_fmaf(-rate.step_size, m / (std::sqrt(v) / rate.root_correction + rate.eps), parameter * rate.decay);
}

EVERY_CPU void update(float* __restrict parameter, const float* __restrict gradient, float* __restrict first,
                      float* __restrict second, int64_t count, const Rates rate) {
  for (int64_t i = 0; i < count; ++i) parameter[i] = adamw_of(parameter[i], gradient[i], first[i], second[i], rate);
}

/// The same, and the average moves towards the new value as aten::lerp does: from its nearer end, in one rounding.
EVERY_CPU void update_with_average(float* __restrict parameter, const float* __restrict gradient,
                                   float* __restrict first, float* __restrict second, float* __restrict average,
                                   int64_t count, const Rates rate) {
  const float weight = rate.average_weight;
  if (weight < 0.5f)
    for (int64_t i = 0; i < count; ++i) {
      const float value = parameter[i] = adamw_of(parameter[i], gradient[i], first[i], second[i], rate);
      average[i] = __builtin_fmaf(weight, value - average[i], average[i]);
    }
  else
    for (int64_t i = 0; i < count; ++i) {
      const float value = parameter[i] = adamw_of(parameter[i], gradient[i], first[i], second[i], rate);
      average[i] = __builtin_fmaf(weight - 1, value - average[i], value);
    }
}

/// AdamW with a learning rate and a decay for each parameter, gradients multiplied by `gradient_scale` (a clip factor).
/// `averages` is empty, or has for each parameter the moving average that takes its new value in by `average_weight`.
void adamw_(at::TensorList parameters, at::TensorList gradients, at::TensorList exp_avgs, at::TensorList exp_avg_sqs,
            at::TensorList averages, at::ArrayRef<double> lrs, at::ArrayRef<double> weight_decays, double beta1,
            double beta2, double eps, int64_t step, double gradient_scale, double average_weight) {
  check_list(parameters, parameters, "parameter");
  check_list(gradients, parameters, "gradient");
  check_list(exp_avgs, parameters, "first moment");
  check_list(exp_avg_sqs, parameters, "second moment");
  if (!averages.empty()) check_list(averages, parameters, "average");
  TORCH_CHECK(lrs.size() == parameters.size() && weight_decays.size() == parameters.size(), "Expected ",
              parameters.size(), " learning rates and decays but received ", lrs.size(), " and ", weight_decays.size());
  TORCH_CHECK(step >= 1, "Expected a positive integer for step but received ", step);
  std::vector<Rates> rates;
  for (size_t i = 0; i < parameters.size(); ++i)
    rates.push_back({static_cast<float>(gradient_scale), static_cast<float>(1 - lrs[i] * weight_decays[i]),
                     static_cast<float>(beta1), static_cast<float>(beta2),
                     static_cast<float>(lrs[i] / (1 - std::pow(beta1, step))),
                     static_cast<float>(std::sqrt(1 - std::pow(beta2, step))), static_cast<float>(eps),
                     static_cast<float>(average_weight)});
  const auto pieces = pieces_of(parameters);
  at::parallel_for(0, static_cast<int64_t>(pieces.size()), 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      const auto [t, begin, end] = pieces[i];
      float *const parameter = parameters[t].data_ptr<float>() + begin,
                   *const m = exp_avgs[t].data_ptr<float>() + begin,
                   *const v = exp_avg_sqs[t].data_ptr<float>() + begin;
      const float* const gradient = gradients[t].const_data_ptr<float>() + begin;
      if (averages.empty())
        update(parameter, gradient, m, v, end - begin, rates[t]);
      else
        update_with_average(parameter, gradient, m, v, averages[t].data_ptr<float>() + begin, end - begin, rates[t]);
    }
  });
  for (const auto list : {parameters, exp_avgs, exp_avg_sqs, averages})
    for (const auto& tensor : list) tensor.unsafeGetTensorImpl()->bump_version();
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rfdetr, library) {
  library.def("gradient_norm(Tensor[] gradients) -> float");
  library.impl("gradient_norm", c10::DispatchKey::CPU, TORCH_FN(gradient_norm));
  library.def(
      "adamw_(Tensor(a!)[] parameters, Tensor[] gradients, Tensor(b!)[] exp_avgs, Tensor(c!)[] exp_avg_sqs, "
      "Tensor(d!)[] averages, float[] lrs, float[] weight_decays, float beta1, float beta2, float eps, int step, "
      "float gradient_scale, float average_weight) -> ()");
  library.impl("adamw_", c10::DispatchKey::CPU, TORCH_FN(adamw_));
}

}  // namespace rfdetr
