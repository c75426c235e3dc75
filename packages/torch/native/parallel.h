// The one way in which kernels share work among threads.
#pragma once
#include <cstdint>
#include <memory>
#include <type_traits>

namespace rfdetr {

namespace parallel {

using Body = void (*)(void* context, int64_t first, int64_t last);

/// Calls `body` for [begin, end) in pieces; see parallel_for().
void run(int64_t begin, int64_t end, int64_t grain, Body body, void* context);

}  // namespace parallel

/// Calls `body(first, last)` for pieces that make up [begin, end), on the threads of libtorch. A thread takes the next
/// piece when it is done with its last one, so that one that sleeps beside a busy neighbour holds up a piece and not a
/// whole share. A piece is a multiple of `grain`, the least work for which starting a thread pays; `begin + k * grain`
/// are the only borders. There are about sixteen pieces for each thread: where a piece costs a preparation, make it
/// once for a thread and not for a piece.
///
/// Which thread takes a piece, and how many pieces there are, changes from call to call. So results must not depend on
/// it: each element is computed within one call, in one order.
///
/// With one thread, within another parallel_for, and up to `grain`, `body` runs once, here. It may throw: the first
/// exception reaches the caller, after all threads are done, and no further piece starts.
template <class Body>
void parallel_for(int64_t begin, int64_t end, int64_t grain, Body&& body) {
  using Plain = std::remove_reference_t<Body>;
  parallel::run(
      begin, end, grain,
      [](void* context, int64_t first, int64_t last) { (*static_cast<Plain*>(context))(first, last); },
      const_cast<std::remove_const_t<Plain>*>(std::addressof(body)));
}

}  // namespace rfdetr
