// Threads that help the thread that calls, for the kernels of this addon and for those of libtorch.
#pragma once
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace rfdetr {

/// The threads that help one calling thread. A call hands out numbered tasks; whoever is free takes the next one. So a
/// helper that another program keeps from a core is not waited for, unless it has taken a task: OpenMP's own teams wait
/// at the end of each region until every thread has come and gone.
///
/// Who waits looks for some microseconds and then sleeps. On a busy machine a thread that goes on looking takes the
/// core from the thread that it waits for; one that sleeps lets the system move that thread to its core.
class Team {
 public:
  using Task = void (*)(void* context, int64_t index);

  /// The team of the calling thread with `threads` threads, that one included. It lasts as long as the thread.
  static Team& of_this_thread(int threads);

  explicit Team(int threads);
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;
  ~Team();

  /// Calls `task(context, index)` once for each index below `count`, and returns when all are done. They start in
  /// order. `task` must not throw. A task may wait for others of the same call if `count` is at most the number of
  /// threads: as long as one has not started, a thread is free to start it.
  void run(int64_t count, Task task, void* context);

  /// Whether this thread is within a task.
  static bool in_task();
  /// 0 on a thread that calls, and the number of the helper on others.
  static int this_thread();

 private:
  void help(int number);
  bool do_one();

  /// The call's number in the upper half and its tasks that nobody has taken in the lower. It never takes a value twice
  /// (but after 2³² calls), so who can lower it has read the members of the same call.
  alignas(64) std::atomic<uint64_t> open_{0};
  std::atomic<Task> task_{nullptr};
  std::atomic<void*> context_{nullptr};
  std::atomic<int64_t> count_{0};
  alignas(64) std::atomic<uint32_t> unfinished_{0};
  alignas(64) std::atomic<uint32_t> bell_{0};
  std::atomic<bool> over_{false};
  std::vector<std::thread> helpers_;
};

}  // namespace rfdetr
