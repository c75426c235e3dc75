// Memory that a thread uses again and again, laid out in pieces aligned to cache lines.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <new>

namespace rfdetr {

/// Hands out pieces of a block of memory. Without a block (null) it only counts.
class ScratchPieces {
 public:
  explicit ScratchPieces(void* block) : block_(reinterpret_cast<uintptr_t>(block)) {}

  template <class T>
  T* take(int64_t count) {
    T* const piece = reinterpret_cast<T*>(block_ + bytes_);
    bytes_ += (count * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
    return piece;
  }
  int64_t bytes() const { return bytes_; }

 private:
  uintptr_t block_;
  int64_t bytes_ = 0;
};

/// One block of memory that grows as needed.
class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { std::free(block_); }

  /// A Layout in this memory. Its constructor takes its pieces from the first argument and runs twice: to count the
  /// bytes, and to hand them out. Earlier layouts become invalid.
  template <class Layout, class... Sizes>
  Layout lay_out(const Sizes&... sizes) {
    ScratchPieces counter(nullptr);
    Layout(counter, sizes...);
    reserve(counter.bytes());
    ScratchPieces pieces(block_);
    return Layout(pieces, sizes...);
  }

  /// `count` elements in this memory. Earlier layouts become invalid.
  template <class T>
  T* elements(int64_t count) {
    reserve(count * static_cast<int64_t>(sizeof(T)));
    return static_cast<T*>(block_);
  }

 private:
  void reserve(int64_t bytes) {
    if (bytes <= size_) return;
    std::free(block_);
    size_ = 0;
    const int64_t rounded = (bytes + 4095) / 4096 * 4096;
    block_ = std::aligned_alloc(64, rounded);
    if (!block_) throw std::bad_alloc();
    size_ = rounded;
  }

  void* block_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace rfdetr
