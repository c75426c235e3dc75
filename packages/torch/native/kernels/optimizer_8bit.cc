// compile: -O3 -fno-trapping-math -ffp-contract=off
// AdamW with moments of 8 bits (Dettmers et al. 2022, arXiv:2110.02861): each block of 256 values has a scale, its
// largest magnitude, and a code for each value. One pass decodes, updates, and encodes.
#include "dynamic_map.h"
#include "optimizer.h"
#include "parallel.h"

#include <torch/library.h>

#include <limits>

namespace rfdetr {

namespace {

using namespace optimizer;

constexpr int64_t block = 256;
static_assert(piece % block == 0);

template <bool with_sign>
struct Codec {
  std::array<float, 256> map = dynamic_map(with_sign);
  std::array<float, 255> bounds = rounding_bounds(map);
  Rounder<with_sign> code_of{bounds};

  static const Codec& get() {
    static const Codec codec;
    return codec;
  }

  ALWAYS_INLINE void decode(const uint8_t* codes, float scale, float* __restrict values) const {
    for (int64_t i = 0; i < block; ++i) values[i] = map[codes[i]] * scale;
  }

  /// @returns the scale. It is NaN where a value is not finite: the whole block is then NaN when it is decoded.
  ALWAYS_INLINE float encode(const float* __restrict values, uint8_t* __restrict codes) const {
    int32_t largest = 0;
    for (int64_t i = 0; i < block; ++i) {
      const int32_t magnitude = std::bit_cast<int32_t>(values[i]) & 0x7fffffff;  // ordered as what it stands for
      largest = largest < magnitude ? magnitude : largest;
    }
    constexpr int32_t infinity = 0x7f800000;
    const float scale = largest < infinity ? std::bit_cast<float>(largest) : std::numeric_limits<float>::quiet_NaN();
    float scaled[block] = {};
    if (largest > 0 && largest < infinity)
      for (int64_t i = 0; i < block; ++i) scaled[i] = values[i] / scale;
    code_of.template operator()<block>(scaled, codes);
    return scale;
  }
};

/// A moment of one parameter from the first element of a block on.
struct Moment {
  uint8_t* codes;
  float* scales;

  Moment from(int64_t begin) const { return {codes + begin, scales + begin / block}; }
};

/// Updates `count` values, up to a whole block. The average may be null.
ALWAYS_INLINE void update_block(float* __restrict parameter, const float* __restrict gradient, const Moment& first,
                                const Moment& second, float* __restrict average, int64_t count, const Rates& rate,
                                const Codec<true>& codec, const Codec<false>& square_codec) {
  float m[block], v[block];
  codec.decode(first.codes, *first.scales, m);
  square_codec.decode(second.codes, *second.scales, v);
  for (int64_t i = 0; i < count; ++i) parameter[i] = adamw_of(parameter[i], gradient[i], m[i], v[i], rate);
  if (average != nullptr)
    for (int64_t i = 0; i < count; ++i) average[i] = moved(average[i], parameter[i], rate.average_weight);
  *first.scales = codec.encode(m, first.codes);
  *second.scales = square_codec.encode(v, second.codes);
}

/// The average may be null.
EVERY_CPU void update(float* __restrict parameter, const float* __restrict gradient, const Moment first,
                      const Moment second, float* __restrict average, int64_t count, const Rates rate,
                      const Codec<true>& codec, const Codec<false>& square_codec) {
  int64_t begin = 0;
  for (; begin + block <= count; begin += block)
    update_block(parameter + begin, gradient + begin, first.from(begin), second.from(begin),
                 average == nullptr ? nullptr : average + begin, block, rate, codec, square_codec);
  if (begin == count) return;
  // The rest in blocks of their own, filled up with the codes of zero.
  const int64_t rest = count - begin;
  const Moment ends[] = {first.from(begin), second.from(begin)};
  uint8_t codes[2][block];
  for (int i = 0; i < 2; ++i) {
    std::fill_n(codes[i], block, i == 0 ? 127 : 0);
    std::copy_n(ends[i].codes, rest, codes[i]);
  }
  update_block(parameter + begin, gradient + begin, {codes[0], ends[0].scales}, {codes[1], ends[1].scales},
               average == nullptr ? nullptr : average + begin, rest, rate, codec, square_codec);
  for (int i = 0; i < 2; ++i) std::copy_n(codes[i], rest, ends[i].codes);
}

void check_moments(at::TensorList codes, at::TensorList scales, at::TensorList parameters, const char* what) {
  TORCH_CHECK(codes.size() == parameters.size() && scales.size() == parameters.size(), "Expected ", parameters.size(),
              " tensors of codes and scales for ", what, " but received ", codes.size(), " and ", scales.size());
  for (size_t i = 0; i < codes.size(); ++i) {
    const int64_t count = parameters[i].numel(), blocks = (count + block - 1) / block;
    TORCH_CHECK(codes[i].device().is_cpu() && codes[i].scalar_type() == at::kByte && codes[i].is_contiguous() &&
                    codes[i].numel() == count,
                "Expected a contiguous uint8 CPU tensor of ", count, " codes for ", what, " ", i, " but received ",
                codes[i].toString(), " of shape ", codes[i].sizes());
    TORCH_CHECK(scales[i].device().is_cpu() && scales[i].scalar_type() == at::kFloat && scales[i].is_contiguous() &&
                    scales[i].numel() == blocks,
                "Expected a contiguous float32 CPU tensor of ", blocks, " scales for ", what, " ", i, " but received ",
                scales[i].toString(), " of shape ", scales[i].sizes());
  }
}

/// As adamw_, with moments as codes and scales. The update is computed with the moments before they are rounded.
void adamw_8bit_(at::TensorList parameters, at::TensorList gradients, at::TensorList exp_avgs,
                 at::TensorList exp_avg_scales, at::TensorList exp_avg_sqs, at::TensorList exp_avg_sq_scales,
                 at::TensorList averages, at::ArrayRef<double> lrs, at::ArrayRef<double> weight_decays, double beta1,
                 double beta2, double eps, int64_t step, double gradient_scale, double average_weight) {
  check_list(parameters, parameters, "parameter");
  check_list(gradients, parameters, "gradient");
  check_moments(exp_avgs, exp_avg_scales, parameters, "first moment");
  check_moments(exp_avg_sqs, exp_avg_sq_scales, parameters, "second moment");
  if (!averages.empty()) check_list(averages, parameters, "average");
  const Settings settings{beta1, beta2, eps, step, gradient_scale, average_weight};
  const auto rates = rates_of(parameters.size(), settings, lrs, weight_decays);
  const auto pieces = pieces_of(parameters);
  const auto& codec = Codec<true>::get();
  const auto& square_codec = Codec<false>::get();
  parallel_for(0, static_cast<int64_t>(pieces.size()), 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      const auto [t, begin, end] = pieces[i];
      const auto moment = [&, begin = begin, t = t](at::TensorList codes, at::TensorList scales) {
        return Moment{codes[t].data_ptr<uint8_t>() + begin, scales[t].data_ptr<float>() + begin / block};
      };
      update(parameters[t].data_ptr<float>() + begin, gradients[t].const_data_ptr<float>() + begin,
             moment(exp_avgs, exp_avg_scales), moment(exp_avg_sqs, exp_avg_sq_scales),
             averages.empty() ? nullptr : averages[t].data_ptr<float>() + begin, end - begin, rates[t], codec,
             square_codec);
    }
  });
  for (const auto list : {parameters, exp_avgs, exp_avg_scales, exp_avg_sqs, exp_avg_sq_scales, averages})
    for (const auto& tensor : list) tensor.unsafeGetTensorImpl()->bump_version();
}

template <bool with_sign>
std::tuple<at::Tensor, at::Tensor> tables() {
  const auto& codec = Codec<with_sign>::get();
  const auto copied = [](const auto& values) {
    const auto tensor = at::empty({static_cast<int64_t>(values.size())}, at::kFloat);
    std::copy(values.begin(), values.end(), tensor.template data_ptr<float>());
    return tensor;
  };
  return {copied(codec.map), copied(codec.bounds)};
}

/// The dynamic map, and the smallest number that rounds to each of its values but the first.
std::tuple<at::Tensor, at::Tensor> dynamic_map_tables(bool with_sign) {
  return with_sign ? tables<true>() : tables<false>();
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rfdetr, library) {
  library.def("dynamic_map(bool with_sign) -> (Tensor map, Tensor bounds)", TORCH_FN(dynamic_map_tables));
  library.def(
      "adamw_8bit_(Tensor(a!)[] parameters, Tensor[] gradients, Tensor(b!)[] exp_avgs, Tensor(c!)[] exp_avg_scales, "
      "Tensor(d!)[] exp_avg_sqs, Tensor(e!)[] exp_avg_sq_scales, Tensor(f!)[] averages, float[] lrs, "
      "float[] weight_decays, float beta1, float beta2, float eps, int step, float gradient_scale, "
      "float average_weight) -> ()");
  library.impl("adamw_8bit_", c10::DispatchKey::CPU, TORCH_FN(adamw_8bit_));
}

}  // namespace rfdetr
