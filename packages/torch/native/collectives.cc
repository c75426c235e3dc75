// Collectives of tensors. Each is preceded by a check of what the ranks are about to do: a rank that gets more bytes
// than it expects would be ended by Gloo, without a word.
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>

#include <limits>

#include "env.h"
#include "group.h"

namespace rfdetr {

namespace {

using Tensors = std::vector<at::Tensor>;

int64_t fingerprint(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const unsigned char byte : text) hash = (hash ^ byte) * 0x100000001b3;
  return static_cast<int64_t>(hash);
}

/// Where the ranks differ, by way of the store. @throws std::runtime_error naming the first that differs from rank 0
[[noreturn]] void tell_difference(const Group& group, const std::string& mine) {
  c10d::PrefixStore store("differs/" + std::to_string(group.begun), group.store);
  const auto key = [](int rank) { return std::to_string(rank); };
  store.set(key(group.rank), std::vector<uint8_t>(mine.begin(), mine.end()));
  std::string first;
  for (int rank = 0; rank < group.size; ++rank) {
    const auto bytes = store.get(key(rank));
    const std::string theirs(bytes.begin(), bytes.end());
    if (rank == 0) first = theirs;
    if (theirs == first) continue;
    size_t at = 0;
    while (at < theirs.size() && at < first.size() && theirs[at] == first[at]) ++at;
    const auto part = [&](const std::string& text) {
      const size_t from = text.rfind(' ', at > 40 ? at - 40 : 0);
      return text.substr(at > 40 && from != std::string::npos ? from + 1 : 0, 160);
    };
    throw std::runtime_error("the ranks differ: rank 0 has " + part(first) + " and rank " + key(rank) + " has " +
                             part(theirs));
  }
  throw std::runtime_error("the ranks differ");
}

/// What all ranks have, in the order of ranks.
at::Tensor gathered(const Group& group, const at::Tensor& mine) {
  const at::Tensor sent = at::stack(Tensors(group.size, mine)), all = at::empty_like(sent);
  all_to_all(*group.gloo, sent, all)->wait();
  return all;
}

/// checkGroup(what, detail, length) → the largest length of all ranks.
napi_value check_group(napi_env env, const Args<3>& args) {
  const auto joined = group();
  const std::string what = to_string(env, args[0], "what"), detail = to_string(env, args[1], "detail");
  const std::string mine = detail.empty() ? what : what + " " + detail;
  const int64_t hash = fingerprint(mine + std::to_string(++joined->begun));
  const at::Tensor all = gathered(*joined, at::tensor({hash, to_int(env, args[2], "length")}, at::kLong));
  if (!all.select(1, 0).eq(hash).all().item<bool>()) tell_difference(*joined, mine);
  return from_int(env, all.select(1, 1).max().item<int64_t>());
}

/// The backend that carries a tensor.
c10d::Backend& carrier(const Group& group, const at::Tensor& tensor) {
  if (tensor.is_cpu()) return *group.gloo;
  TORCH_CHECK(group.nccl, "Expected a tensor of the CPU in a group without GPUs but received one of ", tensor.device());
  return *group.nccl;
}

/// The same elements, contiguous and without a graph.
Tensors plain(const Tensors& tensors) {
  Tensors result;
  for (const auto& tensor : tensors) result.push_back(tensor.detach().contiguous());
  return result;
}

/// Runs a collective that works in place on each of the tensors, all in flight at once.
/// @param begin (backend, one tensor in a list) → the pending work
template <class Begin>
void in_place(const Group& group, const Tensors& given, Begin&& begin) {
  const Tensors sent = plain(given);
  std::vector<c10::intrusive_ptr<c10d::Work>> works;
  for (const auto& tensor : sent) {
    Tensors one{tensor};
    works.push_back(begin(carrier(group, tensor), one));
  }
  for (const auto& work : works) work->wait();
  for (size_t i = 0; i < given.size(); ++i)
    if (auto target = given[i].detach(); !target.is_same(sent[i]) && target.data_ptr() != sent[i].data_ptr())
      target.copy_(sent[i]);
}

/// broadcast(tensors, from)
void broadcast(napi_env env, const Args<2>& args) {
  c10d::BroadcastOptions options;
  options.rootRank = to_int(env, args[1], "from");
  in_place(*group(), to_tensor_list(env, args[0]),
           [&](c10d::Backend& backend, Tensors& one) { return backend.broadcast(one, options); });
}

/// allReduce(tensors, "sum" | "max" | "min")
void all_reduce(napi_env env, const Args<2>& args) {
  const std::string op = to_string(env, args[1], "op");
  c10d::AllreduceOptions options;
  options.reduceOp = op == "max" ? c10d::ReduceOp::MAX : op == "min" ? c10d::ReduceOp::MIN : c10d::ReduceOp::SUM;
  in_place(*group(), to_tensor_list(env, args[0]),
           [&](c10d::Backend& backend, Tensors& one) { return backend.allreduce(one, options); });
}

/// allGather(tensor) → those of all ranks.
napi_value all_gather(napi_env env, const Args<1>& args) {
  const auto joined = group();
  Tensors sent = plain({to_tensor(env, args[0])});
  // A large one would be copied once for each rank.
  if (sent[0].is_cpu() && sent[0].nbytes() <= 1 << 16)
    return from_tensor_list(env, gathered(*joined, sent[0]).unbind());
  std::vector<Tensors> gathered(1);
  for (int rank = 0; rank < joined->size; ++rank) gathered[0].push_back(at::empty_like(sent[0]));
  carrier(*joined, sent[0]).allgather(gathered, sent)->wait();
  return from_tensor_list(env, gathered[0]);
}

}  // namespace

c10::intrusive_ptr<c10d::Work> all_to_all(c10d::Backend& gloo, const at::Tensor& sent, const at::Tensor& received) {
  // As bytes: Gloo has not every dtype.
  at::Tensor out = received.view(at::kByte), in = sent.view(at::kByte);
  std::vector<int64_t> even;
  return gloo.alltoall_base(out, in, even, even);
}

void register_collectives(Exports& exports) {
  define<check_group>(exports, "checkGroup");
  define<broadcast>(exports, "broadcast");
  define<all_reduce>(exports, "allReduce");
  define<all_gather>(exports, "allGather");
}

}  // namespace rfdetr
