#pragma once
#include <cstdint>

namespace rfdetr {
int64_t live_bytes();
int64_t peak_bytes();
void reset_peak_bytes();
/// Gives cached memory back to the system; returns the bytes given.
int64_t release_cached_memory();
void install_allocator();
}  // namespace rfdetr
