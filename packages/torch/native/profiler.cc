// The recorder behind profile(): which record functions of libtorch and spans of JavaScript began and ended when, for
// each thread. Backward may run in threads of the autograd engine, so the callbacks are global; they are installed only
// while a recording runs.
#include "profile_track.h"

#include <algorithm>
#include <atomic>

namespace rfdetr {

namespace {

using namespace profile;

/// The recording of the process. There is one at a time, because the callbacks see every thread.
struct Recording {
  napi_env owner = nullptr;
  bool shapes = false;
  at::CallbackHandle callback = at::INVALID_CALLBACK_HANDLE;
  int64_t start = 0;
  std::vector<std::shared_ptr<Track>> tracks;
};
std::mutex recording_mutex;
std::unique_ptr<Recording> recording;
/// Changes when a recording begins or ends, so that threads notice that their tracks are of an earlier one.
std::atomic<int64_t> generation{0};

/// This thread's track; null when nothing is recorded.
Track* current_track() {
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
  Track* track = current_track();
  if (!track) return nullptr;
  const std::lock_guard lock(track->mutex);
  if (track->closed) return nullptr;
  Event* event = track->begin(&function);
  if (!event) return nullptr;
  event->kind = function.scope() == at::RecordScope::BACKWARD_FUNCTION ? EventKind::Backward : EventKind::Operator;
  event->name = track->name_index(function.name());
  event->sequence = function.seqNr();
  event->forward_thread = function.forwardThreadId();
  if (function.needsInputs()) event->inputs = track->add_shapes(function.inputs());
  event->start = now();
  return nullptr;
}

void on_end(const at::RecordFunction& function, at::ObserverContext*) {
  const int64_t time = now();
  Track* track = current_track();
  if (!track) return;
  const std::lock_guard lock(track->mutex);
  if (track->closed) return;
  Event* event = track->end(&function);
  if (!event) return;
  event->end = time;
  if (function.needsOutputs()) event->outputs = track->add_shapes(function.outputs());
}

/// profileStart(shapes)
void start(napi_env env, const Args<1>& args) {
  const bool shapes = to_bool(env, args[0], "shapes");
  {
    const std::lock_guard lock(recording_mutex);
    if (recording)
      throw_js(
          env,
          "Expected no running profile but there is one: a process has one at a time, and profiles cannot be nested",
          "ERR_PROFILE");
    recording = std::make_unique<Recording>();
    recording->owner = env;
    recording->shapes = shapes;
    generation.fetch_add(1, std::memory_order_acq_rel);
  }
  current_track();  // makes the caller's thread the first one
  auto callback = at::RecordFunctionCallback(on_start, on_end).needsInputs(shapes).needsOutputs(shapes);
  callback.scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION});
  recording->start = now();
  recording->callback = at::addGlobalCallback(callback);
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
/// indices of the shapes of its inputs and outputs, and for a backward event the thread of its forward.
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
    const Event& event = track.event(static_cast<int32_t>(i / columns));
    switch (i % columns) {
      case 0: return static_cast<int64_t>(event.kind);
      case 1: return event.name;
      // Other threads may have recorded for a moment after the stop.
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
                                     numbers(env, track.shapes.size(), [&](size_t i) { return track.shapes[i]; })));
  check(env, napi_create_array_with_length(env, track.names.size(), &names));
  for (const auto& [text, id] : track.names)
    check(env, napi_set_element(env, names, static_cast<uint32_t>(id), from_string(env, text)));
  check(env, napi_set_named_property(env, result, "names", names));
  check(env, napi_set_named_property(env, result, "dropped", from_int(env, track.dropped)));
  return result;
}

/// Ends the recording of this environment and returns it; null when there is none.
std::unique_ptr<Recording> end_recording(napi_env env) {
  const std::lock_guard lock(recording_mutex);
  if (!recording || recording->owner != env) return nullptr;
  at::removeCallback(recording->callback);
  generation.fetch_add(1, std::memory_order_acq_rel);
  return std::move(recording);
}

/// profileStop() → { nanoseconds, threads: { events, shapes, names, dropped }[] }
napi_value stop(napi_env env) {
  const int64_t stopped = now();
  const auto done = end_recording(env);
  if (!done) throw_js(env, "Expected a running profile of this thread but there is none", "ERR_PROFILE");
  for (const auto& track : done->tracks) {
    const std::lock_guard lock(track->mutex);
    track->closed = true;
  }
  napi_value result;
  check(env, napi_create_object(env, &result));
  const napi_value threads = from_list(env, done->tracks, [&](napi_env, const std::shared_ptr<Track>& track) {
    return track_to_js(env, *track, *done, stopped);
  });
  check(env, napi_set_named_property(env, result, "nanoseconds", from_int(env, stopped - done->start)));
  check(env, napi_set_named_property(env, result, "threads", threads));
  return result;
}

/// profileEnter(number): opens a span. Does nothing unless this process records.
void enter(napi_env env, const Args<1>& args) {
  const auto number = static_cast<int32_t>(to_int(env, args[0], "number"));
  if (Track* track = current_track()) {
    const std::lock_guard lock(track->mutex);
    if (Event* event = track->closed ? nullptr : track->begin(nullptr)) {
      event->name = number;
      event->start = now();
    }
  }
}

/// profileLeave(): closes this thread's innermost span.
void leave(napi_env) {
  const int64_t time = now();
  if (Track* track = current_track()) {
    const std::lock_guard lock(track->mutex);
    if (Event* event = track->closed ? nullptr : track->end(nullptr)) event->end = time;
  }
}

}  // namespace

void register_profiler(napi_env env, Exports& exports) {
  define<start>(exports, "profileStart");
  define<stop>(exports, "profileStop");
  define<enter>(exports, "profileEnter");
  define<leave>(exports, "profileLeave");
  // A worker that ends while it records must remove its callbacks.
  napi_add_env_cleanup_hook(env, [](void* data) { end_recording(static_cast<napi_env>(data)); }, env);
}

}  // namespace rfdetr
