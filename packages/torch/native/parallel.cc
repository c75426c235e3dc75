// Pieces of work taken from a queue by the threads of libtorch's own OpenMP team.
#include "parallel.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <exception>

namespace rfdetr::parallel {

namespace {

/// Enough that the last piece is short beside the whole, few enough that taking them costs nothing.
constexpr int64_t pieces_of_a_thread = 8;

int64_t divided_up(int64_t count, int64_t by) { return (count + by - 1) / by; }

/// The pieces of one call, and what went wrong with the first that failed.
struct Queue {
  int64_t end, piece;
  std::atomic<int64_t> next;
  std::atomic_flag failed = ATOMIC_FLAG_INIT;
  std::exception_ptr error;

  void work(Body body, void* context) {
    try {
      for (int64_t first = next.fetch_add(piece); first < end; first = next.fetch_add(piece))
        body(context, first, std::min(first + piece, end));
    } catch (...) {
      if (!failed.test_and_set()) error = std::current_exception();
      next.store(end);
    }
  }
};

}  // namespace

void run(int64_t begin, int64_t end, int64_t grain, Body body, void* context) {
  if (begin >= end) return;
  at::internal::lazy_init_num_threads();
  grain = std::max<int64_t>(grain, 1);
  const int64_t units = divided_up(end - begin, grain), threads = at::get_num_threads();
  if (units == 1 || threads == 1 || at::in_parallel_region()) {
    const c10::ParallelGuard guard(true);
    body(context, begin, end);
    return;
  }
  Queue queue{end, grain * divided_up(units, threads * pieces_of_a_thread), begin};
#pragma omp parallel
  {
#ifdef _OPENMP
    const at::internal::ThreadIdGuard id(omp_get_thread_num());
#endif
    const c10::ParallelGuard guard(true);
    queue.work(body, context);
  }
  if (queue.error) std::rethrow_exception(queue.error);
}

}  // namespace rfdetr::parallel
