#include "autograd_function.h"
// rfdetr::negative_loss: Σ σ(z)²·softplus(z) over all axes but the first. This is the loss of IoU-aware binary
// cross-entropy for entries without a match (LW-DETR, arXiv:2406.03459 §3), with the gradient through both factors.
// Composed from operators, it saves four tensors of the size of the logits for backward. Here it saves only the logits,
// and runs libtorch's operators on pieces that stay in the cache, forward and backward.
#include <ATen/ATen.h>
#include <torch/library.h>

namespace rfdetr {

namespace {

constexpr int64_t piece = 1 << 17;  // elements

at::Tensor negative_loss_composed(const at::Tensor& logits) {
  return at::softplus(logits).mul(logits.sigmoid().pow(2)).flatten(1).sum(-1);
}

/// Calls `body(layer, begin, piece)` for the pieces of every layer, in order.
template <class Body>
void over_pieces(const at::Tensor& logits, Body&& body) {
  const at::Tensor flat = logits.flatten(1);
  for (int64_t layer = 0; layer < flat.size(0); ++layer)
    for (int64_t begin = 0; begin < flat.size(1); begin += piece)
      body(layer, begin, flat.select(0, layer).narrow(0, begin, std::min(piece, flat.size(1) - begin)));
}

struct NegativeLoss : torch::autograd::Function<NegativeLoss> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& logits) {
    const at::AutoDispatchBelowADInplaceOrView below;
    context->save_for_backward({logits});
    at::Tensor sums = at::zeros({logits.size(0)}, logits.options());
    over_pieces(logits, [&](int64_t layer, int64_t, const at::Tensor& z) {
      sums.select(0, layer).add_(z.sigmoid().square_().mul_(at::softplus(z)).sum());
    });
    return sums;
  }

  /// d/dz σ²·softplus = σ²·(σ + 2·(1 − σ)·softplus).
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::Tensor logits = context->get_saved_variables()[0];
    if (at::GradMode::is_enabled()) {  // second derivatives need operators that autograd records
      std::vector<int64_t> shape(logits.dim(), 1);
      shape[0] = logits.size(0);
      const at::Tensor p = logits.sigmoid();
      return {gradients[0].view(shape) * p * p * (p + 2 * (1 - p) * at::softplus(logits))};
    }
    at::Tensor result = at::empty_like(logits, at::MemoryFormat::Contiguous);
    const at::Tensor flat = result.view({result.size(0), -1});
    over_pieces(logits, [&](int64_t layer, int64_t begin, const at::Tensor& z) {
      const at::Tensor p = z.sigmoid();
      at::Tensor to = flat.select(0, layer).narrow(0, begin, z.size(0));
      at::mul_out(to, at::softplus(z), at::rsub(p, 1));
      to.mul_(2).add_(p).mul_(p.square_()).mul_(gradients[0].select(0, layer));
    });
    return {result};
  }
};

at::Tensor negative_loss(const at::Tensor& logits) {
  TORCH_CHECK(logits.dim() >= 2, "Expected logits of two or more dimensions but received ", logits.sizes());
  return logits.device().is_cpu() && at::isFloatingType(logits.scalar_type()) && logits.numel() > 0
             ? NegativeLoss::apply(logits)
             : negative_loss_composed(logits);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rfdetr, library) {
  library.def("negative_loss(Tensor logits) -> Tensor", TORCH_FN(negative_loss));
  library.def("negative_loss_composed(Tensor logits) -> Tensor", TORCH_FN(negative_loss_composed));
}

}  // namespace rfdetr
