#pragma once
#include <cstdint>

namespace rfdetr {
int64_t live_bytes();
int64_t peak_bytes();
void reset_peak_bytes();
}  // namespace rfdetr
