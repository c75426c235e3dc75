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
// Regions of MKL and oneDNN stay with libgomp, because MKL's use OpenMP's loops, sections and single blocks. They name
// their number of threads; those of libtorch and of FBGEMM, which use no more than the barrier, do not. (For libtorch
// 2.15 that is read from the machine code: every call of GOMP_parallel, and the functions that call the others.)
#if defined(_OPENMP) && defined(__linux__)
#include "team.h"

#include <dlfcn.h>

#include <atomic>
#include <thread>

#define EXPORTED extern "C" __attribute__((visibility("default")))

namespace rfdetr {

namespace {

/// What the threads of a region share.
struct Region {
  void (*function)(void*);
  void* data;
  int threads;
  std::atomic<int> waiting{0};
  std::atomic<uint32_t> barriers{0};
};

thread_local Region* region = nullptr;
thread_local int thread_number = 0;

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
  }
  void (*parallel)(void (*)(void*), void*, unsigned, unsigned);
  void (*barrier)();
  int (*in_parallel)();
  int (*max_threads)();
  int (*num_threads)();
  int (*thread_num)();
};

const Libgomp& libgomp() {
  static const Libgomp found;
  return found;
}

/// Runs the share of one thread number.
void run_number(void* context, int64_t number) {
  Region* const outer = region;
  const int outer_number = thread_number;
  region = static_cast<Region*>(context);
  thread_number = static_cast<int>(number);
  region->function(region->data);
  region = outer;
  thread_number = outer_number;
}

}  // namespace

}  // namespace rfdetr

using rfdetr::libgomp;
using rfdetr::region;

EXPORTED void GOMP_parallel(void (*function)(void*), void* data, unsigned threads, unsigned flags) {
  if (threads != 0 && !rfdetr::Team::in_task()) return libgomp().parallel(function, data, threads, flags);
  const bool nested = rfdetr::Team::in_task() || libgomp().in_parallel();
  rfdetr::Region made{function, data, nested ? 1 : libgomp().max_threads()};
  if (made.threads == 1) return rfdetr::run_number(&made, 0);
  rfdetr::Team::of_this_thread(made.threads).run(made.threads, rfdetr::run_number, &made);
}

EXPORTED void GOMP_barrier() {
  if (!region) return libgomp().barrier();
  const uint32_t barrier = region->barriers.load(std::memory_order_acquire);
  if (region->waiting.fetch_add(1, std::memory_order_acq_rel) + 1 == region->threads) {
    region->waiting.store(0, std::memory_order_relaxed);
    region->barriers.fetch_add(1, std::memory_order_acq_rel);
    region->barriers.notify_all();
  } else {
    region->barriers.wait(barrier, std::memory_order_acquire);
  }
}

EXPORTED int omp_in_parallel() { return rfdetr::Team::in_task() || libgomp().in_parallel(); }
EXPORTED int omp_get_num_threads() { return region ? region->threads : libgomp().num_threads(); }
EXPORTED int omp_get_thread_num() { return region ? rfdetr::thread_number : libgomp().thread_num(); }
#endif
