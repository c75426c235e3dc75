// A table that only grows: entries are added under a lock and read without one.
#pragma once
#include <array>
#include <atomic>
#include <mutex>
#include <stdexcept>
#include <string>
#include <unordered_map>

namespace rfdetr {

/// Maps keys to small numbers, and numbers to values that never move or go away. Any thread may call any method at any
/// time. Values are never destroyed, so threads may still read them while the process exits.
template <class Value, size_t capacity>
class StableTable {
 public:
  /// The value with this number; null when there is none. An atomic load, which is a plain one on x86 and ARM.
  const Value* get(int64_t number) const {
    if (number < 0 || number >= static_cast<int64_t>(capacity)) return nullptr;
    return slots_[number].load(std::memory_order_acquire);
  }

  /// The number of `key`. For a new key, `make()` returns a pointer from `new`, or null for "no such value": then -1.
  template <class Make>
  int32_t find_or_add(const std::string& key, Make&& make) {
    const std::lock_guard lock(mutex_);
    if (const auto found = numbers_.find(key); found != numbers_.end()) return found->second;
    if (numbers_.size() == capacity) throw std::runtime_error("the table of operators is full");
    const Value* value = make();
    if (!value) return -1;
    const auto number = static_cast<int32_t>(numbers_.size());
    numbers_.emplace(key, number);
    // Readers that see the pointer see the whole value.
    slots_[number].store(value, std::memory_order_release);
    return number;
  }

 private:
  std::array<std::atomic<const Value*>, capacity> slots_{};
  std::mutex mutex_;
  std::unordered_map<std::string, int32_t> numbers_;
};

}  // namespace rfdetr
