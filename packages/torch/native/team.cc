#include "team.h"

#include <pthread.h>

#include <chrono>
#include <csignal>
#include <memory>

namespace rfdetr {

namespace {

using Clock = std::chrono::steady_clock;

/// How long a helper looks for the next call before it sleeps, and a caller for the last tasks of its own.
constexpr auto helper_looks = std::chrono::microseconds(100), caller_looks = std::chrono::microseconds(50);

thread_local int number_of_this_thread = 0;
thread_local bool within_task = false;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

/// Waits until `word` is no longer `value`.
void wait_while(const std::atomic<uint32_t>& word, uint32_t value, std::chrono::microseconds looks) {
  const auto end = Clock::now() + looks;
  do {
    for (int i = 0; i < 16; ++i) {
      if (word.load(std::memory_order_acquire) != value) return;
      relax();
    }
  } while (Clock::now() < end);
  word.wait(value, std::memory_order_acquire);
}

}  // namespace

bool Team::in_task() { return within_task; }
int Team::this_thread() { return number_of_this_thread; }

Team& Team::of_this_thread(int threads) {
  thread_local std::unique_ptr<Team> team;
  if (!team || static_cast<int>(team->helpers_.size()) != threads - 1) {
    team.reset();
    team = std::make_unique<Team>(threads);
  }
  return *team;
}

Team::Team(int threads) {
  // Signals are for the threads of Node.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (int i = 1; i < threads; ++i) helpers_.emplace_back([this, i] { help(i); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Team::~Team() {
  over_.store(true);
  bell_.fetch_add(1);
  bell_.notify_all();
  for (auto& helper : helpers_) helper.join();
}

void Team::run(int64_t count, Task task, void* context) {
  task_.store(task, std::memory_order_relaxed);
  context_.store(context, std::memory_order_relaxed);
  count_.store(count, std::memory_order_relaxed);
  unfinished_.store(static_cast<uint32_t>(count), std::memory_order_relaxed);
  const uint64_t call = (open_.load(std::memory_order_relaxed) >> 32) + 1;
  open_.store(call << 32 | static_cast<uint32_t>(count), std::memory_order_release);
  bell_.fetch_add(1);
  if (count > static_cast<int64_t>(helpers_.size()))
    bell_.notify_all();
  else
    for (int64_t i = 1; i < count; ++i) bell_.notify_one();
  while (do_one()) {}
  for (uint32_t left = unfinished_.load(std::memory_order_acquire); left != 0;
       left = unfinished_.load(std::memory_order_acquire))
    wait_while(unfinished_, left, caller_looks);
}

bool Team::do_one() {
  uint64_t open = open_.load(std::memory_order_acquire);
  for (;;) {
    const auto left = static_cast<uint32_t>(open);
    if (left == 0) return false;
    const Task task = task_.load(std::memory_order_relaxed);
    void* const context = context_.load(std::memory_order_relaxed);
    const int64_t count = count_.load(std::memory_order_relaxed);
    if (!open_.compare_exchange_weak(open, open - 1, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
    within_task = true;
    task(context, count - left);
    within_task = false;
    if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) unfinished_.notify_one();
    return true;
  }
}

void Team::help(int number) {
  number_of_this_thread = number;
  while (!over_.load(std::memory_order_acquire)) {
    const uint32_t heard = bell_.load(std::memory_order_acquire);
    while (do_one()) {}
    if (!over_.load(std::memory_order_acquire)) wait_while(bell_, heard, helper_looks);
  }
}

}  // namespace rfdetr
