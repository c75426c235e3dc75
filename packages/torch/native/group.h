// The group of processes that this one belongs to: c10d inside libtorch, over Gloo (CPU) or NCCL (GPU).
#pragma once
#include <ATen/ATen.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include <chrono>
#include <memory>
#include <string>

namespace rfdetr {

struct Group {
  int rank = 0;
  int size = 1;
  std::chrono::milliseconds timeout{0};
  /// Collectives so far: ranks that are not at the same one do not agree.
  uint64_t begun = 0;
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::Backend> gloo;
  /// A second set of connections: its collectives have an order of their own, so that another thread may start them.
  c10::intrusive_ptr<c10d::Backend> gather;
  /// Null unless tensors of a GPU travel by NCCL.
  c10::intrusive_ptr<c10d::Backend> nccl;
};

/// The group of this process. Who is in a collective keeps it, so that an abort leaves what is still waited on.
/// @throws std::runtime_error where it is in none
std::shared_ptr<Group> group();

/// Begins to send each rank its part of `sent`, and to gather the parts of all in `received`, in the order of ranks.
/// All messages travel at once; in the rings of Gloo's all-reduce and all-gather they wait for one another.
c10::intrusive_ptr<c10d::Work> all_to_all(c10d::Backend& gloo, const at::Tensor& sent, const at::Tensor& received);

/// The backend of NCCL, in nccl.cc; throws where the addon was built without it.
c10::intrusive_ptr<c10d::Backend> make_nccl(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                            c10::Device device, std::chrono::milliseconds timeout);
void abort_nccl(const c10::intrusive_ptr<c10d::Backend>& backend);

}  // namespace rfdetr
