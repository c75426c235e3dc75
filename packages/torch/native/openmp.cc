// compile: -fopenmp
// Runs the parallel regions of libtorch's own operators on the team of team.h.
//
// at::parallel_for divides its work among the threads of an OpenMP region by thread number, and libgomp ends a region
// when every thread of its team has come and gone. Beside a busy neighbour one of them comes milliseconds late,
// hundreds of times in a forward pass. Here a region is as many tasks as it has threads: whoever is free takes the next
// thread number. A number does the same work as before, so results keep their bits.
//
// This works because the dynamic linker looks for libtorch's symbols in this addon first, which loads libtorch. Where
// it does not, libgomp goes on as before. Numbers may wait for each other at a barrier: there are as many threads as
// numbers, so a number that nobody has taken leaves a thread that is free to take it.
//
// Regions of MKL and oneDNN name their number of threads, and those of MKL's decompositions use OpenMP's loops,
// sections and single blocks (read from the machine code of libtorch 2.15 for x86-64: who calls which entry). These are
// here too. Another build may call entries that are not, so there such regions stay with libgomp. Regions of libtorch
// itself name no number and use at most the barrier, in every version.
//
// The flag in the first line keeps this file out of those that are compiled as one: they declare what is defined here.
#if defined(_OPENMP) && defined(__linux__)
#include "team.h"

#include <dlfcn.h>
#include <torch/version.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#define EXPORTED extern "C" __attribute__((visibility("default")))

namespace rfdetr {

namespace {

/// A loop, a list of sections or a single block of a region. Threads take pieces from `next` on.
struct Share {
  int64_t next = 0, end = 0, step = 1, piece = 1;
  bool opened = false;
  /// Pieces of an ordered loop that were taken, and the one whose turn it is.
  int64_t taken = 0, turn = 0;
};

/// What the threads of a region have in common.
struct Region {
  void (*function)(void*);
  void* data;
  int threads;
  std::atomic<int> waiting{0};
  std::atomic<uint32_t> barriers{0};
  std::mutex mutex;
  std::condition_variable turned;
  std::deque<Share> shares;
};

/// Where a thread is: its number in a region, the share that it is at, and its piece of an ordered loop or −1.
struct Place {
  Region* region = nullptr;
  int number = 0;
  size_t share = 0;
  int64_t piece = -1;
};

thread_local Place here;

/// What OpenMP's names mean without this file.
struct Libgomp {
  template <class Function>
  static void find(Function& function, const char* name) {
    function = reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
  }
  Libgomp() {
    find(parallel, "GOMP_parallel");
    find(barrier, "GOMP_barrier");
    find(in_parallel, "omp_in_parallel");
    find(max_threads, "omp_get_max_threads");
    find(num_threads, "omp_get_num_threads");
    find(thread_num, "omp_get_thread_num");
    find(single_start, "GOMP_single_start");
    find(loop_start, "GOMP_loop_dynamic_start");
    find(loop_next, "GOMP_loop_dynamic_next");
    find(ordered_loop_start, "GOMP_loop_ordered_dynamic_start");
    find(ordered_loop_next, "GOMP_loop_ordered_dynamic_next");
    find(loop_end, "GOMP_loop_end");
    find(loop_end_nowait, "GOMP_loop_end_nowait");
    find(ordered_start, "GOMP_ordered_start");
    find(ordered_end, "GOMP_ordered_end");
    find(sections_start, "GOMP_sections_start");
    find(sections_next, "GOMP_sections_next");
    find(sections_end_nowait, "GOMP_sections_end_nowait");
  }
  void (*parallel)(void (*)(void*), void*, unsigned, unsigned);
  void (*barrier)();
  int (*in_parallel)();
  int (*max_threads)();
  int (*num_threads)();
  int (*thread_num)();
  bool (*single_start)();
  bool (*loop_start)(long, long, long, long, long*, long*);
  bool (*loop_next)(long*, long*);
  bool (*ordered_loop_start)(long, long, long, long, long*, long*);
  bool (*ordered_loop_next)(long*, long*);
  void (*loop_end)();
  void (*loop_end_nowait)();
  void (*ordered_start)();
  void (*ordered_end)();
  unsigned (*sections_start)(unsigned);
  unsigned (*sections_next)();
  void (*sections_end_nowait)();
};

const Libgomp& libgomp() {
  static const Libgomp found;
  return found;
}

/// Runs the part of one thread number.
void run_number(void* context, int64_t number) {
  const Place outer = here;
  here = {static_cast<Region*>(context), static_cast<int>(number)};
  here.region->function(here.region->data);
  here = outer;
}

/// The share that this thread is at. Call it under the mutex.
Share& share_here() {
  while (here.region->shares.size() <= here.share) here.region->shares.emplace_back();
  return here.region->shares[here.share];
}

void open_share(int64_t first, int64_t end, int64_t step, int64_t piece) {
  const std::lock_guard lock(here.region->mutex);
  Share& share = share_here();
  if (!share.opened) share = {first, end, step, piece * step, true};
}

/// Takes the next piece; false when there is none.
bool take(long* first, long* last, bool ordered) {
  std::unique_lock lock(here.region->mutex);
  Share& share = share_here();
  if (ordered && here.piece >= 0) {
    here.region->turned.wait(lock, [&] { return share.turn == here.piece; });
    ++share.turn;
    here.region->turned.notify_all();
  }
  here.piece = -1;
  if (share.step > 0 ? share.next >= share.end : share.next <= share.end) return false;
  *first = share.next;
  share.next += share.piece;
  share.next = share.step > 0 ? std::min(share.next, share.end) : std::max(share.next, share.end);
  *last = share.next;
  if (ordered) here.piece = share.taken++;
  return true;
}

void barrier() {
  Region& region = *here.region;
  const uint32_t before = region.barriers.load(std::memory_order_acquire);
  if (region.waiting.fetch_add(1, std::memory_order_acq_rel) + 1 == region.threads) {
    region.waiting.store(0, std::memory_order_relaxed);
    region.barriers.fetch_add(1, std::memory_order_acq_rel);
    region.barriers.notify_all();
  } else {
    region.barriers.wait(before, std::memory_order_acquire);
  }
}

#if defined(__x86_64__) && TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR == 15
constexpr bool knows_every_entry = true;
#else
constexpr bool knows_every_entry = false;
#endif

}  // namespace

}  // namespace rfdetr

using rfdetr::here;
using rfdetr::libgomp;
using rfdetr::Team;

EXPORTED void GOMP_parallel(void (*function)(void*), void* data, unsigned threads, unsigned flags) {
  const bool nested = Team::in_task() || libgomp().in_parallel();
  const int most = libgomp().max_threads();
  if (!nested && threads != 0 && (!rfdetr::knows_every_entry || threads > static_cast<unsigned>(most)))
    return libgomp().parallel(function, data, threads, flags);
  rfdetr::Region region{function, data, nested ? 1 : threads == 0 ? most : static_cast<int>(threads)};
  if (region.threads == 1) return rfdetr::run_number(&region, 0);
  Team::of_this_thread(most).run(region.threads, rfdetr::run_number, &region);
}

EXPORTED int omp_in_parallel() { return Team::in_task() || libgomp().in_parallel(); }
EXPORTED int omp_get_num_threads() { return here.region ? here.region->threads : libgomp().num_threads(); }
EXPORTED int omp_get_thread_num() { return here.region ? here.number : libgomp().thread_num(); }

EXPORTED void GOMP_barrier() { here.region ? rfdetr::barrier() : libgomp().barrier(); }

EXPORTED bool GOMP_single_start() {
  if (!here.region) return libgomp().single_start();
  const std::lock_guard lock(here.region->mutex);
  const bool first = !std::exchange(rfdetr::share_here().opened, true);
  ++here.share;
  return first;
}

EXPORTED bool GOMP_loop_dynamic_start(long from, long to, long step, long piece, long* first, long* last) {
  if (!here.region) return libgomp().loop_start(from, to, step, piece, first, last);
  rfdetr::open_share(from, to, step, piece);
  return rfdetr::take(first, last, false);
}
EXPORTED bool GOMP_loop_dynamic_next(long* first, long* last) {
  return here.region ? rfdetr::take(first, last, false) : libgomp().loop_next(first, last);
}
EXPORTED bool GOMP_loop_ordered_dynamic_start(long from, long to, long step, long piece, long* first, long* last) {
  if (!here.region) return libgomp().ordered_loop_start(from, to, step, piece, first, last);
  rfdetr::open_share(from, to, step, piece);
  return rfdetr::take(first, last, true);
}
EXPORTED bool GOMP_loop_ordered_dynamic_next(long* first, long* last) {
  return here.region ? rfdetr::take(first, last, true) : libgomp().ordered_loop_next(first, last);
}
EXPORTED void GOMP_loop_end() {
  if (!here.region) return libgomp().loop_end();
  ++here.share;
  rfdetr::barrier();
}
EXPORTED void GOMP_loop_end_nowait() {
  if (!here.region) return libgomp().loop_end_nowait();
  ++here.share;
}

EXPORTED void GOMP_ordered_start() {
  if (!here.region) return libgomp().ordered_start();
  std::unique_lock lock(here.region->mutex);
  const rfdetr::Share& share = rfdetr::share_here();
  here.region->turned.wait(lock, [&] { return share.turn == here.piece; });
}
EXPORTED void GOMP_ordered_end() {
  if (!here.region) libgomp().ordered_end();
}

/// Sections have numbers from 1; 0 is none.
EXPORTED unsigned GOMP_sections_next() {
  if (!here.region) return libgomp().sections_next();
  long first = 0, last = 0;
  return rfdetr::take(&first, &last, false) ? static_cast<unsigned>(first) : 0;
}
EXPORTED unsigned GOMP_sections_start(unsigned count) {
  if (!here.region) return libgomp().sections_start(count);
  rfdetr::open_share(1, count + 1L, 1, 1);
  return GOMP_sections_next();
}
EXPORTED void GOMP_sections_end_nowait() {
  if (!here.region) return libgomp().sections_end_nowait();
  ++here.share;
}
#endif
