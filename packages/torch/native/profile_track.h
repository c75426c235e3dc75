// What one thread recorded: its events in the order in which they began, their names, and the shapes they point to.
#pragma once
#include "env.h"

#include <ATen/record_function.h>

#include <array>
#include <chrono>
#include <memory>
#include <mutex>
#include <string_view>

namespace rfdetr::profile {

/// JavaScript opens and closes spans; libtorch begins and ends the others.
enum class EventKind : uint8_t { Operator, Backward, Span };

struct Event {
  int64_t start;
  int64_t end;
  int64_t sequence;
  uint64_t forward_thread;
  int64_t inputs;  // index into the track's shapes; −1 without
  int64_t outputs;
  int32_t name;    // index into the track's names, or the number of a span
  int32_t parent;  // index of an event; −1 for none
  EventKind kind;
};

constexpr int32_t chunk_size = 4096;
/// About 300 MB of events. Later ones are dropped.
constexpr int32_t max_events = 4 << 20;

/// Nanoseconds of a steady clock.
inline int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

/// The events of one thread. Only that thread adds to them; the lock is contended only while a recording ends.
struct Track {
  std::mutex mutex;
  bool closed = false;
  uint64_t thread = at::RecordFunction::currentThreadId();
  std::vector<std::unique_ptr<std::array<Event, chunk_size>>> chunks;
  int32_t count = 0;
  int64_t dropped = 0;
  struct Open {
    const void* owner;  // the record function; null for a span
    int32_t event;      // −1 for an event that was dropped
  };
  std::vector<Open> open;
  std::unordered_map<std::string, int32_t, StringHash, std::equal_to<>> names;
  std::vector<int64_t> shapes;

  Event& event(int32_t index) { return (*chunks[index / chunk_size])[index % chunk_size]; }

  int32_t name_index(std::string_view text) {
    if (const auto found = names.find(text); found != names.end()) return found->second;
    const auto id = static_cast<int32_t>(names.size());
    names.emplace(text, id);
    return id;
  }

  /// The new event; null when it is dropped.
  Event* begin(const void* owner) {
    if (count == max_events) {
      ++dropped;
      open.push_back({owner, -1});
      return nullptr;
    }
    if (count % chunk_size == 0) chunks.push_back(std::make_unique<std::array<Event, chunk_size>>());
    const int32_t parent = open.empty() ? -1 : open.back().event;
    Event& added = event(count);
    added = {0, -1, -1, 0, -1, -1, 0, parent, EventKind::Span};
    open.push_back({owner, count++});
    return &added;
  }

  /// The innermost open event; null when it belongs to another owner or was dropped.
  Event* end(const void* owner) {
    if (open.empty() || open.back().owner != owner) return nullptr;
    const int32_t index = open.back().event;
    open.pop_back();
    return index < 0 ? nullptr : &event(index);
  }

  void add_tensor(const at::Tensor& tensor) {
    if (!tensor.defined()) return;
    shapes.push_back(name_index(dtype_name(tensor.scalar_type())));
    shapes.push_back(tensor.dim());
    for (const int64_t size : tensor.sizes()) shapes.push_back(size);
  }

  /// Adds the number of integers that follow; then for every tensor, in lists too, its dtype, dimensions and sizes.
  /// Returns the index of the first.
  template <class Values>
  int64_t add_shapes(const Values& values) {
    const auto place = static_cast<int64_t>(shapes.size());
    shapes.push_back(0);
    for (const c10::IValue& value : values) {
      if (value.isTensor())
        add_tensor(value.toTensor());
      else if (value.isTensorList())
        for (const at::Tensor& tensor : value.toTensorList()) add_tensor(tensor);
    }
    shapes[place] = static_cast<int64_t>(shapes.size()) - place - 1;
    return place;
  }
};

}  // namespace rfdetr::profile
