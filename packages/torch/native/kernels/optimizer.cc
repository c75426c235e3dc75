// compile: -O3 -fno-trapping-math -ffp-contract=off
// An optimizer step in one pass over the parameters. The weights, gradients and moments of a detector are 500 MB, and
// the gain is that they are read once instead of once per foreach operator.
#include "optimizer.h"
#include "parallel.h"

#include <torch/library.h>

namespace rfdetr {

namespace {

using namespace optimizer;

EVERY_CPU double sum_of_squares(const float* values, int64_t count) {
  // In double, where squares of float32 cannot overflow. 32 sums at once, because a single one waits for each addition.
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

/// The global L2 norm of a list of gradients in one pass. NaN or infinite if any element is.
double gradient_norm(at::TensorList gradients) {
  check_list(gradients, gradients, "gradient");
  const auto pieces = pieces_of(gradients);
  std::vector<double> sums(pieces.size());
  parallel_for(0, static_cast<int64_t>(pieces.size()), 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i)
      sums[i] = sum_of_squares(gradients[pieces[i].tensor].const_data_ptr<float>() + pieces[i].begin,
                               pieces[i].end - pieces[i].begin);
  });
  double total = 0;  // in the order of the pieces, whatever the thread count
  for (const double sum : sums) total += sum;
  return std::sqrt(total);
}

/// Lists with one tensor for each parameter; `averages` may be empty.
struct State {
  at::TensorList parameters, gradients, exp_avgs, exp_avg_sqs, averages;

  void check() const {
    check_list(parameters, parameters, "parameter");
    check_list(gradients, parameters, "gradient");
    check_list(exp_avgs, parameters, "first moment");
    check_list(exp_avg_sqs, parameters, "second moment");
    if (!averages.empty()) check_list(averages, parameters, "average");
  }
};

EVERY_CPU void update(float* __restrict parameter, const float* __restrict gradient, float* __restrict first,
                      float* __restrict second, int64_t count, const Rates rate) {
  for (int64_t i = 0; i < count; ++i) parameter[i] = adamw_of(parameter[i], gradient[i], first[i], second[i], rate);
}

/// The same, and moves the average towards the new value.
EVERY_CPU void update_with_average(float* __restrict parameter, const float* __restrict gradient,
                                   float* __restrict first, float* __restrict second, float* __restrict average,
                                   int64_t count, const Rates rate) {
  for (int64_t i = 0; i < count; ++i) {
    const float value = parameter[i] = adamw_of(parameter[i], gradient[i], first[i], second[i], rate);
    average[i] = moved(average[i], value, rate.average_weight);
  }
}

void update_piece(const State& state, const Piece& piece, const Rates& rates) {
  const auto [t, begin, end] = piece;
  float* const parameter = state.parameters[t].data_ptr<float>() + begin;
  const float* const gradient = state.gradients[t].const_data_ptr<float>() + begin;
  float* const first = state.exp_avgs[t].data_ptr<float>() + begin;
  float* const second = state.exp_avg_sqs[t].data_ptr<float>() + begin;
  if (state.averages.empty())
    update(parameter, gradient, first, second, end - begin, rates);
  else
    update_with_average(parameter, gradient, first, second, state.averages[t].data_ptr<float>() + begin, end - begin,
                        rates);
}

/// AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101) with a learning rate and a weight decay for each parameter.
/// Multiplies gradients by `gradient_scale`, a clip factor. Where `averages` are given, moves each of them towards its
/// parameter by `average_weight`. The parameters of this function are those of the operator's schema.
void adamw_(at::TensorList parameters, at::TensorList gradients, at::TensorList exp_avgs, at::TensorList exp_avg_sqs,
            at::TensorList averages, at::ArrayRef<double> lrs, at::ArrayRef<double> weight_decays, double beta1,
            double beta2, double eps, int64_t step, double gradient_scale, double average_weight) {
  const State state{parameters, gradients, exp_avgs, exp_avg_sqs, averages};
  state.check();
  const Settings settings{beta1, beta2, eps, step, gradient_scale, average_weight};
  const auto rates = rates_of(parameters.size(), settings, lrs, weight_decays);
  const auto pieces = pieces_of(parameters);
  parallel_for(0, static_cast<int64_t>(pieces.size()), 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) update_piece(state, pieces[i], rates[pieces[i].tensor]);
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
