// The memory of CPU tensors, for the whole process.
#pragma once
#include <cstdint>

namespace rfdetr {
int64_t live_bytes();
int64_t peak_bytes();
/// Sets the peak to what is live now.
void reset_peak_bytes();
/// Returns cached memory to the system; the result is the number of bytes.
int64_t release_cached_memory();
/// Makes libtorch allocate through memory.cc.
void install_allocator();
}  // namespace rfdetr
