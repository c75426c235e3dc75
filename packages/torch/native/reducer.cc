// Sums of gradients over the ranks while backward runs: c10d's Reducer, with a hook that adds up in the order of ranks.
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "env.h"
#include "group.h"

namespace rfdetr {

namespace {

using Tensors = std::vector<at::Tensor>;
using Clock = std::chrono::steady_clock;
using FuturePointer = c10::intrusive_ptr<c10::ivalue::Future>;

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

/// What one reduction took.
struct Reduction {
  Clock::time_point began, first, last, done;
  int64_t bytes = 0;
  /// Of each bucket before the sum. Read when they are asked for: a GPU has not computed them yet.
  Tensors norms = {};

  void begin_bucket(size_t index, const at::Tensor& bucket) {
    last = Clock::now();
    if (index == 0) first = last;
    norms.push_back(bucket.norm());
  }

  void add_bytes(const at::Tensor& sent) { bytes += sent.numel() * static_cast<int64_t>(sent.element_size()); }

  double norm() const {
    double squares = 0;
    for (const auto& norm : norms) squares += std::pow(norm.item<double>(), 2);
    return std::sqrt(squares);
  }
};

/// What both sums of buckets have in common.
class BucketSum : public c10d::CommHookInterface {
 public:
  BucketSum(std::shared_ptr<Group> group, bool compress, Reduction& times)
      : group_(std::move(group)), compress_(compress), times_(times) {}

  at::Tensor parseHookResult(const c10::IValue& result) override {
    times_.done = Clock::now();
    return c10d::detail::parseCppCommHookResult(result);
  }

 protected:
  const std::shared_ptr<Group> group_;
  const bool compress_;
  Reduction& times_;
};

/// A thread that does what it is given, in order.
class Line {
 public:
  ~Line() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  void add(std::function<void()> work) {
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back(std::move(work));
    }
    changed_.notify_all();
  }

 private:
  void run() {
    const at::NoGradGuard no_grad;
    for (std::unique_lock lock(mutex_);;) {
      changed_.wait(lock, [&] { return ended_ || !queue_.empty(); });
      if (queue_.empty()) return;
      const auto work = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      work();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;
  bool ended_ = false;
  std::thread thread_{[this] { run(); }};  // last: it begins when all else is made
};

/// Adds up buckets in the order of ranks. A bucket is cut into one part for each rank. Every rank gets its part of all
/// (all-to-all), adds them up, and sends the sum to all (all-to-all again): as many bytes as a ring sends. Sums are
/// sent by a thread of this class, in the order of buckets, on connections of their own; so both kinds of collectives
/// are begun in the same order on all ranks. Another thread waits for them, so that all may be on their way at once.
class OrderedSum : public BucketSum {
 public:
  using BucketSum::BucketSum;

  FuturePointer runHook(c10d::GradBucket& bucket) override {
    at::Tensor buffer = bucket.getBuffer();
    times_.begin_bucket(bucket.getIndex(), buffer);
    const int64_t part = (buffer.numel() + group_->size - 1) / group_->size;
    const auto dtype = compress_ ? at::kBFloat16 : buffer.scalar_type();
    at::Tensor sent = at::empty({part * group_->size}, buffer.options().dtype(dtype));
    sent.narrow(0, 0, buffer.numel()).copy_(buffer);
    sent.narrow(0, buffer.numel(), sent.numel() - buffer.numel()).zero_();
    at::Tensor received = at::empty_like(sent);
    times_.add_bytes(sent);
    auto future = c10::make_intrusive<c10::ivalue::Future>(c10::TensorType::get());
    const auto work = all_to_all(*group_->gloo, sent, received);
    add(sums_, future, [=, this] {
      work->wait();
      const auto parts = received.view({group_->size, -1});
      at::Tensor sum = compress_ ? parts[0].to(at::kFloat) : parts[0];
      for (int rank = 1; rank < group_->size; ++rank) sum.add_(parts[rank]);
      // What was received and what was sent are not needed any more: sums come into their place.
      for (int rank = compress_ ? 0 : 1; rank < group_->size; ++rank) parts[rank].copy_(sum);
      const auto sums = all_to_all(*group_->gather, received, sent);
      add(copies_, future, [=] {
        sums->wait();
        buffer.copy_(sent.narrow(0, 0, buffer.numel()));
        future->markCompleted(buffer);
      });
    });
    return future;
  }

 private:
  /// What a line throws is thrown where the future is waited for.
  static void add(Line& line, const FuturePointer& future, std::function<void()> work) {
    line.add([future, work = std::move(work)] {
      try {
        work();
      } catch (...) {
        future->setError(std::current_exception());
      }
    });
  }

  Line copies_;
  Line sums_;  // last: it ends first, because it adds to the other
};

/// Sums of NCCL, in the order that it chooses.
class DeviceSum : public BucketSum {
 public:
  using BucketSum::BucketSum;

  FuturePointer runHook(c10d::GradBucket& bucket) override {
    at::Tensor buffer = bucket.getBuffer();
    times_.begin_bucket(bucket.getIndex(), buffer);
    Tensors sent{compress_ ? buffer.to(at::kBFloat16) : buffer};
    times_.add_bytes(sent[0]);
    return group_->nccl->allreduce(sent)->getFuture()->then(
        [buffer, compress = compress_](c10::ivalue::Future& future) {
          const at::Tensor sum = future.value().toTensorVector()[0];
          if (compress) buffer.copy_(sum);
          return c10::IValue(buffer);
        },
        c10::TensorType::get());
  }
};

/// Tells c10d's Reducer which parameters any rank has used; it asks by an all-reduce, which is a ring in Gloo.
class UsedParameters : public c10d::Backend {
 public:
  explicit UsedParameters(const Group& group) : Backend(group.rank, group.size), gloo_(group.gloo) {}

  c10::intrusive_ptr<c10d::Work> allreduce(Tensors& maps, const c10d::AllreduceOptions&) override {
    return c10::make_intrusive<AnyOf>(maps[0], *gloo_, size_);
  }

 private:
  struct AnyOf : c10d::Work {
    AnyOf(at::Tensor map, c10d::Backend& gloo, int size)
        : map(std::move(map)),
          sent(at::stack(Tensors(size, this->map.to(at::kBool)))),
          all(at::empty_like(sent)),
          work(all_to_all(gloo, sent, all)) {}

    bool wait(std::chrono::milliseconds timeout) override {
      work->wait(timeout);
      map.copy_(all.any(0));
      return true;
    }

    at::Tensor map, sent, all;
    c10::intrusive_ptr<c10d::Work> work;
  };

  const c10::intrusive_ptr<c10d::Backend> gloo_;
};

/// The group as c10d's Reducer asks for it.
c10::intrusive_ptr<c10d::ProcessGroup> group_of_reducer(const Group& group) {
  auto result = c10::make_intrusive<c10d::ProcessGroup>(group.store, group.rank, group.size);
  if (group.nccl)
    result->setBackend(c10::DeviceType::CUDA, c10d::ProcessGroup::NCCL, group.nccl);
  else
    result->setBackend(c10::DeviceType::CPU, c10d::ProcessGroup::CUSTOM, c10::make_intrusive<UsedParameters>(group));
  return result;
}

struct GroupReducer {
  Reduction times;
  std::unique_ptr<c10d::Reducer> reducer;
};

/// Reducers by number. They belong to the thread that trains.
std::unordered_map<int64_t, std::unique_ptr<GroupReducer>>& reducers() {
  static auto* const all = new std::unordered_map<int64_t, std::unique_ptr<GroupReducer>>();
  return *all;
}

GroupReducer& reducer_of(napi_env env, napi_value number) {
  const auto found = reducers().find(to_int(env, number, "reducer"));
  if (found == reducers().end()) throw std::runtime_error("the reducer was disposed");
  return *found->second;
}

/// makeReducer(parameters, names, bucketBytes, compress) → number
napi_value make_reducer(napi_env env, const Args<4>& args) {
  const auto joined = group();
  const Tensors parameters = to_tensor_list(env, args[0]);
  std::unordered_map<size_t, std::string> names;
  for (uint32_t i = 0; i < parameters.size(); ++i) {
    napi_value name;
    check(env, napi_get_element(env, args[1], i, &name));
    names[i] = to_string(env, name, "name");
  }
  const int64_t bytes = to_int(env, args[2], "bucketBytes");
  const bool compress = to_bool(env, args[3], "compress");
  const int64_t first = std::min<int64_t>(bytes, 1 << 20);
  const std::vector<bool> dense(parameters.size(), false);
  // Backward reaches the last parameters first.
  auto buckets = std::get<0>(c10d::compute_bucket_assignment_by_size(
      parameters, {static_cast<size_t>(first), static_cast<size_t>(bytes)}, dense));
  std::reverse(buckets.begin(), buckets.end());
  auto made = std::make_unique<GroupReducer>();
  made->reducer = std::make_unique<c10d::Reducer>(
      parameters, buckets, group_of_reducer(*joined), dense, bytes, /*find_unused_parameters=*/true,
      /*gradient_as_bucket_view=*/true, names, first,
      /*skip_all_reduce_unused_params=*/false, /*use_python_reducer=*/false, std::vector<int64_t>{});
  std::unique_ptr<c10d::CommHookInterface> hook;
  if (joined->nccl)
    hook = std::make_unique<DeviceSum>(joined, compress, made->times);
  else
    hook = std::make_unique<OrderedSum>(joined, compress, made->times);
  made->reducer->register_comm_hook(std::move(hook));
  static int64_t next = 1;
  reducers()[next] = std::move(made);
  return from_int(env, next++);
}

/// prepareReducer(reducer, loss)
void prepare_reducer(napi_env env, const Args<2>& args) {
  GroupReducer& reducer = reducer_of(env, args[0]);
  reducer.times = {};
  reducer.times.began = reducer.times.first = reducer.times.last = reducer.times.done = Clock::now();
  reducer.reducer->prepare_for_backward({to_tensor(env, args[1])});
}

/// lastReduction(reducer) → [bytes, norm of this rank's gradients, seconds to the first bucket, to the last, from there
/// to the last sum]
napi_value last_reduction(napi_env env, const Args<1>& args) {
  const Reduction& times = reducer_of(env, args[0]).times;
  const double figures[]{static_cast<double>(times.bytes), times.norm(), seconds_between(times.began, times.first),
                         seconds_between(times.began, times.last),
                         seconds_between(times.last, std::max(times.last, times.done))};
  return from_list(env, figures, from_double);
}

void free_reducer(napi_env env, const Args<1>& args) {
  const auto found = reducers().find(to_int(env, args[0], "reducer"));
  if (found == reducers().end()) return;
  found->second->reducer->remove_autograd_hooks();
  reducers().erase(found);
}

}  // namespace

void register_reducer(Exports& exports) {
  define<make_reducer>(exports, "makeReducer");
  define<prepare_reducer>(exports, "prepareReducer");
  define<last_reduction>(exports, "lastReduction");
  define<free_reducer>(exports, "freeReducer");
}

}  // namespace rfdetr
