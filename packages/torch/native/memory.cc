// Accounting of CPU tensor memory: every byte that libtorch allocates passes through a counting allocator.
#include "env.h"
#include "memory.h"

#include <c10/core/CPUAllocator.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

namespace rfdetr {

namespace {
std::atomic<int64_t> live{0};
std::atomic<int64_t> peak{0};

/// Before each block stands its size; 64 bytes keep the block aligned to a cache line and to AVX-512 vectors.
constexpr size_t header = 64;

void release_block(void* data) {
  if (!data) return;
  char* block = static_cast<char*>(data) - header;
  size_t size;
  std::memcpy(&size, block, sizeof size);
  live.fetch_sub(static_cast<int64_t>(size), std::memory_order_relaxed);
  std::free(block);
}

class CountingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t size) override {
    if (size == 0) return {nullptr, nullptr, &release_block, c10::Device(c10::DeviceType::CPU)};
    void* block = nullptr;
    if (size > SIZE_MAX - 2 * header || posix_memalign(&block, header, size + header) != 0)
      TORCH_CHECK(false, "not enough memory: could not allocate ", size, " bytes for a tensor");
    std::memcpy(block, &size, sizeof size);
    const int64_t now = live.fetch_add(static_cast<int64_t>(size), std::memory_order_relaxed) + static_cast<int64_t>(size);
    int64_t seen = peak.load(std::memory_order_relaxed);
    while (now > seen && !peak.compare_exchange_weak(seen, now, std::memory_order_relaxed)) {}
    void* data = static_cast<char*>(block) + header;
    return {data, data, &release_block, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release_block; }
  void copy_data(void* destination, const void* source, std::size_t count) const override { default_copy_data(destination, source, count); }
};

CountingAllocator allocator;
}  // namespace

void install_counting_allocator() { c10::SetCPUAllocator(&allocator, 255); }

int64_t live_bytes() { return live.load(std::memory_order_relaxed); }
int64_t peak_bytes() { return peak.load(std::memory_order_relaxed); }
void reset_peak_bytes() { peak.store(live_bytes(), std::memory_order_relaxed); }

void account_memory(napi_env env) {
  // V8 sees only small handles; telling it of the megabytes behind them makes it collect forgotten ones in time.
  constexpr int64_t step = 64 << 20;
  Env& state = env_of(env);
  const int64_t change = live_bytes() - state.reported_bytes;
  if (change < step && change > -step) return;
  int64_t ignored;
  napi_adjust_external_memory(env, change, &ignored);
  state.reported_bytes += change;
}

}  // namespace rfdetr
