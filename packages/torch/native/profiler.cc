// compile: -DNDEBUG
// The recorder behind profile(): what libtorch's record functions and JavaScript's marks begin and end, thread by
// thread. Callbacks are global, because backward may run in threads of the autograd engine; outside of a recording
// there are none. Record functions know of their inputs in one of two ways, and libtorch's own binaries are built with
// NDEBUG.
#include "env.h"

#include <ATen/record_function.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string_view>

namespace rfdetr {

namespace {

enum class Kind : uint8_t { Operator, Backward, Mark };

struct Event {
  int64_t start;
  int64_t end;
  int64_t sequence;
  uint64_t forward_thread;
  int64_t inputs;  // place in the pool of shapes, -1 without
  int64_t outputs;
  int32_t name;  // of the track's names, or the caller's own number of a mark
  int32_t parent;
  Kind kind;
};

constexpr int32_t chunk_size = 4096;
/// About 300 MB of events; a longer recording keeps its beginning.
constexpr int32_t max_events = 4 << 20;

int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

/// What one thread did. Its lock is contended only while a recording ends.
struct Track {
  std::mutex mutex;
  bool closed = false;
  uint64_t thread = at::RecordFunction::currentThreadId();
  std::vector<std::unique_ptr<std::array<Event, chunk_size>>> chunks;
  int32_t count = 0;
  int64_t dropped = 0;
  struct Open {
    const void* owner;  // the record function, null for a mark
    int32_t event;      // -1 where there was no room
  };
  std::vector<Open> open;
  std::unordered_map<std::string, int32_t, StringHash, std::equal_to<>> names;
  std::vector<int64_t> pool;

  Event& at(int32_t index) { return (*chunks[index / chunk_size])[index % chunk_size]; }

  int32_t name(std::string_view text) {
    if (const auto found = names.find(text); found != names.end()) return found->second;
    const auto id = static_cast<int32_t>(names.size());
    names.emplace(text, id);
    return id;
  }

  Event* begin(const void* owner) {
    if (count == max_events) {
      ++dropped;
      open.push_back({owner, -1});
      return nullptr;
    }
    if (count % chunk_size == 0) chunks.push_back(std::make_unique<std::array<Event, chunk_size>>());
    const int32_t parent = open.empty() ? -1 : open.back().event;
    Event& event = at(count);
    event = {0, -1, -1, 0, -1, -1, 0, parent, Kind::Mark};
    open.push_back({owner, count++});
    return &event;
  }

  Event* end(const void* owner) {
    if (open.empty() || open.back().owner != owner) return nullptr;
    const int32_t index = open.back().event;
    open.pop_back();
    return index < 0 ? nullptr : &at(index);
  }

  void add_tensor(const at::Tensor& tensor) {
    if (!tensor.defined()) return;
    pool.push_back(name(dtype_name(tensor.scalar_type())));
    pool.push_back(tensor.dim());
    for (const int64_t size : tensor.sizes()) pool.push_back(size);
  }

  /// Number of integers, then dtype, dimensions and sizes of every tensor, those in lists too.
  template <class Values>
  int64_t add_shapes(const Values& values) {
    const auto place = static_cast<int64_t>(pool.size());
    pool.push_back(0);
    for (const c10::IValue& value : values) {
      if (value.isTensor())
        add_tensor(value.toTensor());
      else if (value.isTensorList())
        for (const at::Tensor& tensor : value.toTensorList()) add_tensor(tensor);
    }
    pool[place] = static_cast<int64_t>(pool.size()) - place - 1;
    return place;
  }
};

/// The recording of the process, if there is one: one at a time, since the callbacks see every thread.
struct Recording {
  napi_env owner = nullptr;
  bool shapes = false;
  at::CallbackHandle callback = at::INVALID_CALLBACK_HANDLE;
  int64_t start = 0;
  std::vector<std::shared_ptr<Track>> tracks;
};
std::mutex recording_mutex;
std::unique_ptr<Recording> recording;
/// Counts recordings, so that a thread notices that its track belongs to an earlier one.
std::atomic<int64_t> generation{0};

/// This thread's track; null outside of a recording.
Track* track_here() {
  thread_local int64_t seen = -1;
  thread_local std::shared_ptr<Track> track;
  if (const int64_t current = generation.load(std::memory_order_acquire); seen != current) {
    const std::lock_guard lock(recording_mutex);
    seen = generation.load(std::memory_order_acquire);
    track.reset();
    if (recording) recording->tracks.push_back(track = std::make_shared<Track>());
  }
  return track.get();
}

std::unique_ptr<at::ObserverContext> on_start(const at::RecordFunction& function) {
  Track* track = track_here();
  if (!track) return nullptr;
  const std::lock_guard lock(track->mutex);
  if (track->closed) return nullptr;
  Event* event = track->begin(&function);
  if (!event) return nullptr;
  event->kind = function.scope() == at::RecordScope::BACKWARD_FUNCTION ? Kind::Backward : Kind::Operator;
  event->name = track->name(function.name());
  event->sequence = function.seqNr();
  event->forward_thread = function.forwardThreadId();
  if (function.needsInputs()) event->inputs = track->add_shapes(function.inputs());
  event->start = now();
  return nullptr;
}

void on_end(const at::RecordFunction& function, at::ObserverContext*) {
  const int64_t time = now();
  Track* track = track_here();
  if (!track) return;
  const std::lock_guard lock(track->mutex);
  if (track->closed) return;
  Event* event = track->end(&function);
  if (!event) return;
  event->end = time;
  if (function.needsOutputs()) event->outputs = track->add_shapes(function.outputs());
}

/// profileStart(shapes)
napi_value start(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const Args<1> args(env, info);
    const bool shapes = to_bool(env, args[0], "shapes");
    {
      const std::lock_guard lock(recording_mutex);
      if (recording)
        throw_js(
            env,
            "Expected no profile to be running but one is: profiles cannot be nested, and a process has one at a time",
            "ERR_PROFILE");
      recording = std::make_unique<Recording>();
      recording->owner = env;
      recording->shapes = shapes;
      generation.fetch_add(1, std::memory_order_acq_rel);
    }
    track_here();  // the caller's thread comes first
    auto callback = at::RecordFunctionCallback(on_start, on_end).needsInputs(shapes).needsOutputs(shapes);
    callback.scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION});
    recording->start = now();
    recording->callback = at::addGlobalCallback(callback);
    return napi_value(nullptr);
  });
}

template <class Get>
napi_value numbers(napi_env env, size_t count, Get&& get) {
  napi_value buffer, array;
  void* data = nullptr;
  check(env, napi_create_arraybuffer(env, count * sizeof(double), &data, &buffer));
  auto* to = static_cast<double*>(data);
  for (size_t i = 0; i < count; ++i) to[i] = static_cast<double>(get(i));
  check(env, napi_create_typedarray(env, napi_float64_array, count, buffer, 0, &array));
  return array;
}

/// Numbers of an event: kind, name, start and end in nanoseconds since the recording began, parent, sequence number,
/// places of the inputs and outputs among the shapes, and the thread that a backward event's forward ran in.
constexpr size_t columns = 9;

napi_value track_to_js(napi_env env, Track& track, const Recording& from, int64_t stopped) {
  const auto thread_of = [&](uint64_t thread) -> int64_t {
    for (size_t i = 0; i < from.tracks.size(); ++i)
      if (thread != 0 && from.tracks[i]->thread == thread) return static_cast<int64_t>(i);
    return -1;
  };
  napi_value result, names;
  check(env, napi_create_object(env, &result));
  const auto value_of = [&](size_t i) -> int64_t {
    const Event& event = track.at(static_cast<int32_t>(i / columns));
    switch (i % columns) {
      case 0: return static_cast<int64_t>(event.kind);
      case 1: return event.name;
      // Other threads may have gone on for a moment.
      case 2: return std::min(event.start, stopped) - from.start;
      case 3: return (event.end < 0 ? stopped : std::min(event.end, stopped)) - from.start;
      case 4: return event.parent;
      case 5: return event.sequence;
      case 6: return event.inputs;
      case 7: return event.outputs;
      default: return thread_of(event.forward_thread);
    }
  };
  check(env, napi_set_named_property(env, result, "events",
                                     numbers(env, static_cast<size_t>(track.count) * columns, value_of)));
  check(env, napi_set_named_property(env, result, "shapes",
                                     numbers(env, track.pool.size(), [&](size_t i) { return track.pool[i]; })));
  check(env, napi_create_array_with_length(env, track.names.size(), &names));
  for (const auto& [text, id] : track.names)
    check(env, napi_set_element(env, names, static_cast<uint32_t>(id), from_string(env, text)));
  check(env, napi_set_named_property(env, result, "names", names));
  check(env, napi_set_named_property(env, result, "dropped", from_int(env, track.dropped)));
  return result;
}

std::unique_ptr<Recording> finish(napi_env env) {
  const std::lock_guard lock(recording_mutex);
  if (!recording || recording->owner != env) return nullptr;
  at::removeCallback(recording->callback);
  generation.fetch_add(1, std::memory_order_acq_rel);
  return std::move(recording);
}

/// profileStop() → { nanoseconds, threads: { events, shapes, names, dropped }[] }
napi_value stop(napi_env env, napi_callback_info) {
  return guarded(env, [&] {
    const int64_t stopped = now();
    const auto done = finish(env);
    if (!done) throw_js(env, "Expected a running profile of this thread but there is none", "ERR_PROFILE");
    for (const auto& track : done->tracks) {
      const std::lock_guard lock(track->mutex);
      track->closed = true;
    }
    napi_value result, threads;
    check(env, napi_create_object(env, &result));
    check(env, napi_create_array_with_length(env, done->tracks.size(), &threads));
    for (size_t i = 0; i < done->tracks.size(); ++i)
      check(env, napi_set_element(env, threads, i, track_to_js(env, *done->tracks[i], *done, stopped)));
    check(env, napi_set_named_property(env, result, "nanoseconds", from_int(env, stopped - done->start)));
    check(env, napi_set_named_property(env, result, "threads", threads));
    return result;
  });
}

/// profileEnter(number): a mark of JavaScript's begins.
napi_value enter(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const Args<1> args(env, info);
    const auto number = static_cast<int32_t>(to_int(env, args[0], "number"));
    if (Track* track = track_here()) {
      const std::lock_guard lock(track->mutex);
      if (Event* event = track->closed ? nullptr : track->begin(nullptr)) {
        event->name = number;
        event->start = now();
      }
    }
    return napi_value(nullptr);
  });
}

/// profileLeave(): the innermost mark ends.
napi_value leave(napi_env env, napi_callback_info) {
  return guarded(env, [&] {
    const int64_t time = now();
    if (Track* track = track_here()) {
      const std::lock_guard lock(track->mutex);
      if (Event* event = track->closed ? nullptr : track->end(nullptr)) event->end = time;
    }
    return napi_value(nullptr);
  });
}

}  // namespace

void register_profiler(napi_env env, Exports& exports) {
  define(exports, "profileStart", start);
  define(exports, "profileStop", stop);
  define(exports, "profileEnter", enter);
  define(exports, "profileLeave", leave);
  // A worker that ends while it records must not leave its callbacks behind.
  napi_add_env_cleanup_hook(env, [](void* data) { finish(static_cast<napi_env>(data)); }, env);
}

}  // namespace rfdetr
