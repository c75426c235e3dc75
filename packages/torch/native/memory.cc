// The allocator of CPU tensors. It counts every byte and keeps freed blocks for the next step: a training step asks for
// the same sizes again and again, and memory that was returned to the system costs a page fault for every 4 KiB when it
// is touched again (see bench/RESULTS.md).
#include "memory.h"

#include "env.h"

#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>

namespace rfdetr {

namespace {

std::atomic<int64_t> live{0};
std::atomic<int64_t> peak{0};

void count_allocation(int64_t bytes) {
  const int64_t now = live.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  int64_t seen = peak.load(std::memory_order_relaxed);
  while (now > seen && !peak.compare_exchange_weak(seen, now, std::memory_order_relaxed)) {}
}

/// A cache line, and a vector of AVX-512. Also the length of the header before every block.
constexpr size_t alignment = 64;
/// Smaller blocks come from malloc; larger ones from segments that the kernel maps.
constexpr size_t small_limit = 32 << 10;
constexpr size_t segment_size = 64 << 20;
constexpr size_t huge_page = 2 << 20;
/// Gives pages back to the system at once. On macOS MADV_DONTNEED keeps them.
#ifdef __APPLE__
constexpr int drop_pages = MADV_FREE;
#else
constexpr int drop_pages = MADV_DONTNEED;
#endif

struct Block {
  size_t size;       // bytes after the header
  size_t requested;  // bytes that libtorch asked for; 0 while free
  Block* before;     // neighbours in the segment
  Block* after;
  bool small;
  bool free;
};
static_assert(sizeof(Block) <= alignment);

struct BySize {
  bool operator()(const Block* a, const Block* b) const { return a->size != b->size ? a->size < b->size : a < b; }
};

/// Guards the free blocks, and the neighbours and the `free` of all blocks in segments.
std::mutex cache_mutex;
std::set<Block*, BySize> free_blocks;

char* data_of(Block* block) { return reinterpret_cast<char*>(block) + alignment; }
Block* block_of(void* data) { return reinterpret_cast<Block*>(static_cast<char*>(data) - alignment); }
size_t round_up(size_t size, size_t unit) { return (size + unit - 1) / unit * unit; }

Block* new_segment(size_t size) {
  const size_t bytes = round_up(std::max(size + alignment, segment_size), huge_page);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
#ifdef MADV_HUGEPAGE
  madvise(memory, bytes, MADV_HUGEPAGE);
#endif
  auto* block = static_cast<Block*>(memory);
  *block = {bytes - alignment, 0, nullptr, nullptr, false, true};
  return block;
}

/// Takes the smallest free block that fits, and cuts it to size. Null when there is no memory.
Block* take(size_t requested) {
  const size_t keep = round_up(requested, 4096);
  const std::lock_guard lock(cache_mutex);
  Block key{keep, 0, nullptr, nullptr, false, false};
  // Blocks of the same size are ordered by address: lower_bound skips those below the address of the key.
  auto found = free_blocks.lower_bound(&key);
  while (found != free_blocks.begin() && (*std::prev(found))->size == keep) --found;
  Block* block;
  if (found != free_blocks.end()) {
    block = *found;
    free_blocks.erase(found);
  } else if (!(block = new_segment(keep))) {
    return nullptr;
  }
  if (block->size > keep + alignment + small_limit) {
    auto* rest = reinterpret_cast<Block*>(data_of(block) + keep);
    *rest = {block->size - keep - alignment, 0, block, block->after, false, true};
    if (rest->after) rest->after->before = rest;
    block->after = rest;
    block->size = keep;
    free_blocks.insert(rest);
  }
  block->free = false;
  return block;
}

void merge_with_next(Block* block) {
  Block* next = block->after;
  block->size += next->size + alignment;
  block->after = next->after;
  if (block->after) block->after->before = block;
}

/// Makes a block free, together with free neighbours.
void give_back(Block* block) {
  const std::lock_guard lock(cache_mutex);
  block->free = true;
  block->requested = 0;
  if (block->after && block->after->free) {
    free_blocks.erase(block->after);
    merge_with_next(block);
  }
  if (block->before && block->before->free) {
    block = block->before;
    free_blocks.erase(block);
    merge_with_next(block);
  }
  free_blocks.insert(block);
}

void release_data(void* data) {
  if (!data) return;
  Block* block = block_of(data);
  live.fetch_sub(static_cast<int64_t>(block->requested), std::memory_order_relaxed);
  if (block->small)
    std::free(block);
  else
    give_back(block);
}

class CachingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t size) override {
    if (size == 0) return {nullptr, nullptr, &release_data, c10::Device(c10::DeviceType::CPU)};
    Block* block = nullptr;
    if (size < small_limit) {
      void* memory = nullptr;
      if (posix_memalign(&memory, alignment, size + alignment) == 0) {
        block = static_cast<Block*>(memory);
        *block = {size, 0, nullptr, nullptr, true, false};
      }
    } else if (size <= SIZE_MAX / 2) {
      block = take(size);
    }
    TORCH_CHECK(block, "not enough memory: could not allocate ", size, " bytes for a tensor");
    block->requested = size;
    count_allocation(static_cast<int64_t>(size));
    return {data_of(block), data_of(block), &release_data, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release_data; }
  void copy_data(void* destination, const void* source, std::size_t bytes) const override {
    default_copy_data(destination, source, bytes);
  }
};

CachingAllocator allocator;

}  // namespace

void install_allocator() { c10::SetCPUAllocator(&allocator, 255); }

int64_t live_bytes() { return live.load(std::memory_order_relaxed); }
int64_t peak_bytes() { return peak.load(std::memory_order_relaxed); }
void reset_peak_bytes() { peak.store(live_bytes(), std::memory_order_relaxed); }

int64_t release_cached_memory() {
  const std::lock_guard lock(cache_mutex);
  const auto page = static_cast<size_t>(getpagesize());
  int64_t released = 0;
  for (auto next = free_blocks.begin(); next != free_blocks.end();) {
    Block* block = *next++;
    // Whole segments are unmapped. Of free parts of a segment the pages are dropped: what was in them is gone.
    if (!block->before && !block->after) {
      free_blocks.erase(block);
      released += static_cast<int64_t>(block->size + alignment);
      munmap(block, block->size + alignment);
    } else {
      const auto begin = round_up(reinterpret_cast<size_t>(data_of(block)), page);
      const auto end = (reinterpret_cast<size_t>(data_of(block)) + block->size) / page * page;
      if (end > begin && madvise(reinterpret_cast<void*>(begin), end - begin, drop_pages) == 0)
        released += static_cast<int64_t>(end - begin);
    }
  }
  return released;
}

void account_memory(napi_env env) {
  // V8 sees only small handles; it collects forgotten ones in time when it knows the megabytes behind them. New peaks
  // are reported at once, decreases only every few seconds: with every rise and fall of a training step reported, V8
  // collected six times a step, 4 ms each, and found nothing.
  constexpr int64_t step = 64 << 20;
  constexpr auto pause = std::chrono::seconds(5);
  thread_local auto lowered = std::chrono::steady_clock::now();
  Env& state = env_of(env);
  const int64_t change = live_bytes() - state.reported_bytes;
  if (change < step && change > -step) return;
  if (change < 0) {
    const auto now = std::chrono::steady_clock::now();
    if (now - lowered < pause) return;
    lowered = now;
  }
  int64_t ignored;
  napi_adjust_external_memory(env, change, &ignored);
  state.reported_bytes += change;
}

void forget_reported_memory(napi_env env) {
  Env& state = env_of(env);
  const int64_t excess = std::min<int64_t>(0, live_bytes() - state.reported_bytes);
  int64_t ignored;
  napi_adjust_external_memory(env, excess, &ignored);
  state.reported_bytes += excess;
}

}  // namespace rfdetr
