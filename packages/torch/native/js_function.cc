#include "js_function.h"

#include <ATen/Context.h>
#include <ATen/ThreadLocalState.h>
#include <c10/core/CachingDeviceAllocator.h>

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>

namespace rfdetr {

namespace {

/// Work that one thread asks another to do.
struct Task {
  std::function<void()> body;
  std::exception_ptr error = nullptr;
  bool done = false;
};

/// Tasks for one thread, which looks at them while it waits for one of its own.
struct Inbox {
  std::thread::id thread = std::this_thread::get_id();
  std::deque<Task*> tasks = {};
};

/// Guard all inboxes and tasks. Calls come a few hundred times in a pass.
std::mutex inbox_mutex;
std::condition_variable changed;

thread_local Inbox own;
/// On the JavaScript thread: the thread whose call is being served; null outside of calls from other threads.
thread_local Inbox* served = nullptr;

/// The inboxes of JavaScript threads live as long as their threads: a function is called only while its thread waits.
std::deque<Inbox*> inboxes;

void run(Task& task, std::unique_lock<std::mutex>& lock) {
  lock.unlock();
  try {
    task.body();
  } catch (...) {
    task.error = std::current_exception();
  }
  lock.lock();
  task.done = true;
  changed.notify_all();
}

/// Serves the tasks of this thread until `task`, which another thread does, is done.
void wait_for(Task& task, std::unique_lock<std::mutex>& lock) {
  while (!task.done) {
    changed.wait(lock, [&] { return task.done || !own.tasks.empty(); });
    if (own.tasks.empty()) continue;
    Task* next = own.tasks.front();
    own.tasks.pop_front();
    run(*next, lock);
  }
}

/// Lets another thread do a task, with this thread's modes of autograd and dispatch. Rethrows its exception here.
void ask(Inbox& other, std::function<void()> body) {
  Task task{[body = std::move(body), state = at::ThreadLocalState()] {
    const at::ThreadLocalStateGuard guard(state);
    body();
  }};
  std::unique_lock lock(inbox_mutex);
  other.tasks.push_back(&task);
  changed.notify_all();
  wait_for(task, lock);
  if (task.error) std::rethrow_exception(task.error);
}

/// Passes on this thread within which others may begin on it. libtorch moves what is nested in more than 60 to a thread
/// of its own, while this one waits in libtorch and serves no calls.
constexpr int deepest = 32;
thread_local int depth = 0;

/// Whether backward from these tensors may leave the calling thread. Meta tensors would not, and take the same way, so
/// that it runs where there is no GPU.
bool may_leave_thread(at::ArrayRef<at::Tensor> roots) {
  for (const auto& root : roots)
    if (root.defined() && !root.device().is_cpu()) return true;
  // A root on the CPU may have been computed on a GPU.
  return at::hasCUDA() && c10::getDeviceAllocator(c10::DeviceType::CUDA)->initialized();
}

}  // namespace

void run_pass(at::ArrayRef<at::Tensor> roots, const std::function<void()>& pass) {
  if (served) return ask(*served, pass);
  if (depth < deepest && !may_leave_thread(roots)) {
    ++depth;
    const std::unique_ptr<int, void (*)(int*)> left(&depth, [](int* counted) { --*counted; });
    return pass();
  }
  Task task{[&pass, state = at::ThreadLocalState()] {
    const at::ThreadLocalStateGuard guard(state);
    pass();
  }};
  std::unique_lock lock(inbox_mutex);
  inboxes.push_back(&own);
  std::thread worker([&task] {
    std::unique_lock lock(inbox_mutex);
    run(task, lock);
  });
  wait_for(task, lock);
  std::erase(inboxes, &own);
  lock.unlock();
  worker.join();
  if (task.error) std::rethrow_exception(task.error);
}

JsFunction::JsFunction(napi_env env, napi_value function) : env_(env) {
  check(env, napi_create_reference(env, function, 1, &reference_));
}

JsFunction::~JsFunction() {
  if (std::this_thread::get_id() == thread_) napi_delete_reference(env_, reference_);
}

void JsFunction::call(at::ArrayRef<at::Tensor> gradients, const std::function<void(napi_value)>& take) const {
  if (std::this_thread::get_id() != thread_) {
    Inbox* home = nullptr;
    {
      const std::lock_guard lock(inbox_mutex);
      for (Inbox* inbox : inboxes)
        if (inbox->thread == thread_) home = inbox;
    }
    if (!home)
      throw std::runtime_error(
          "gradient functions written in JavaScript run only on the thread that made them, but backward was called on "
          "another");
    Inbox* const caller = &own;
    return ask(*home, [&] {
      Inbox* const before = std::exchange(served, caller);
      try {
        call(gradients, take);
      } catch (...) {
        served = before;
        throw;
      }
      served = before;
    });
  }
  // Without a scope the values of all calls pile up until backward ends.
  napi_handle_scope scope;
  check(env_, napi_open_handle_scope(env_, &scope));
  const std::unique_ptr<std::remove_pointer_t<napi_handle_scope>, std::function<void(napi_handle_scope)>> closed(
      scope, [this](napi_handle_scope open) { napi_close_handle_scope(env_, open); });
  napi_value function, global, result;
  check(env_, napi_get_reference_value(env_, reference_, &function));
  check(env_, napi_get_global(env_, &global));
  std::vector<napi_value> arguments;
  for (const auto& gradient : gradients) arguments.push_back(from_tensor(env_, gradient));
  const napi_status status = napi_call_function(env_, global, function, arguments.size(), arguments.data(), &result);
  if (status == napi_ok) return take(result);
  // Backward must return first, through a C++ exception. run_pass_for_js throws this one then.
  napi_value exception;
  napi_get_and_clear_last_exception(env_, &exception);
  Env& state = env_of(env_);
  if (!state.pending_exception) {
    // What was thrown may be no object, to which there is no reference.
    napi_value holder;
    check(env_, napi_create_object(env_, &holder));
    check(env_, napi_set_named_property(env_, holder, "thrown", exception));
    check(env_, napi_create_reference(env_, holder, 1, &state.pending_exception));
  }
  throw std::runtime_error("a gradient function threw");
}

}  // namespace rfdetr
