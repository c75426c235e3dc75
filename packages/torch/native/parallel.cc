// Pieces of work that the threads of a team take from a queue.
#include "parallel.h"

#include "team.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <exception>

namespace rfdetr::parallel {

namespace {

/// Enough that the last piece is short beside the whole, few enough that taking them costs nothing.
constexpr int64_t pieces_of_a_thread = 16;

int64_t divided_up(int64_t count, int64_t by) { return (count + by - 1) / by; }

/// One call: its pieces, and what went wrong with the first that failed.
struct Call {
  int64_t begin, end, piece;
  Body body;
  void* context;
  std::atomic_flag failed = ATOMIC_FLAG_INIT;
  std::exception_ptr error;
};

void do_piece(void* context, int64_t index) {
  Call& call = *static_cast<Call*>(context);
  if (call.failed.test()) return;
  const at::internal::ThreadIdGuard id(Team::this_thread());
  const c10::ParallelGuard guard(true);
  const int64_t first = call.begin + index * call.piece;
  try {
    call.body(call.context, first, std::min(first + call.piece, call.end));
  } catch (...) {
    if (!call.failed.test_and_set()) call.error = std::current_exception();
  }
}

}  // namespace

void run(int64_t begin, int64_t end, int64_t grain, Body body, void* context) {
  if (begin >= end) return;
  at::internal::lazy_init_num_threads();
  grain = std::max<int64_t>(grain, 1);
  const int64_t units = divided_up(end - begin, grain);
  const int threads = at::get_num_threads();
  if (units == 1 || threads == 1 || Team::in_task() || at::in_parallel_region()) {
    const c10::ParallelGuard guard(true);
    body(context, begin, end);
    return;
  }
  const int64_t units_of_piece = divided_up(units, threads * pieces_of_a_thread);
  Call call{begin, end, grain * units_of_piece, body, context};
  Team::of_this_thread(threads).run(divided_up(units, units_of_piece), do_piece, &call);
  if (call.error) std::rethrow_exception(call.error);
}

}  // namespace rfdetr::parallel
