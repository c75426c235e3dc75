// What every file of the addon includes: the state of one JavaScript environment (the main thread or a worker), and
// conversions of values.
//
// A file may ask for compiler flags of its own in its first line, `// compile: …`. The setup reads it (setup/addon.mjs)
// and leaves out flags that the compiler does not know. Code that is compiled for more than the oldest CPU must check
// for that CPU before it runs, and must not share inline functions with other files.
#pragma once
#include <ATen/ATen.h>
#include <node_api.h>

#include <functional>
#include <string>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <vector>

namespace rfdetr {

/// Tensors by handle, a small integer. Handles of released tensors are used again.
class HandleTable {
 public:
  int32_t add(at::Tensor tensor) {
    if (!free_.empty()) {
      const int32_t handle = free_.back();
      free_.pop_back();
      slots_[handle] = std::move(tensor);
      return handle;
    }
    slots_.push_back(std::move(tensor));
    return static_cast<int32_t>(slots_.size()) - 1;
  }

  bool holds(int64_t handle) const {
    return handle >= 0 && handle < static_cast<int64_t>(slots_.size()) && slots_[handle].defined();
  }

  const at::Tensor& get(int64_t handle) const {
    if (!holds(handle)) throw std::runtime_error("the tensor was disposed, or belongs to another thread");
    return slots_[handle];
  }

  void release(int64_t handle) {
    if (!holds(handle)) return;
    slots_[handle].reset();
    free_.push_back(static_cast<int32_t>(handle));
  }

  int64_t live() const { return static_cast<int64_t>(slots_.size() - free_.size()); }

 private:
  std::vector<at::Tensor> slots_;
  std::vector<int32_t> free_;
};

struct Env {
  napi_env env = nullptr;
  HandleTable handles;
  /// What removes each tensor hook that has not been removed.
  std::unordered_map<int64_t, std::function<void()>> hooks;
  int64_t next_hook = 1;
  /// A JavaScript exception that a hook threw, kept until backward has returned.
  napi_ref pending_exception = nullptr;
  int64_t reported_bytes = 0;
};

Env& env_of(napi_env env);

/// Thrown in C++ when a JavaScript exception is pending, so that nothing else is reported.
struct JsExceptionPending {};

void check(napi_env env, napi_status status);
[[noreturn]] void throw_js(napi_env env, const std::string& message, const char* code = "ERR_TORCH");

/// Runs `body`. Turns a C++ exception into a JavaScript Error with its text.
template <class Body>
napi_value guarded(napi_env env, Body&& body) {
  try {
    return body();
  } catch (const JsExceptionPending&) {
  } catch (const c10::Error& error) {
    napi_throw_error(env, "ERR_TORCH", error.what_without_backtrace());
  } catch (const std::exception& error) {
    napi_throw_error(env, "ERR_TORCH", error.what());
  } catch (...) {
    napi_throw_error(env, "ERR_TORCH", "libtorch threw something that is not a C++ exception");
  }
  return nullptr;
}

/// The first `arity` arguments of a call; undefined where fewer are given.
template <size_t arity>
struct Args {
  napi_value values[arity];
  size_t count = arity;
  Args(napi_env env, napi_callback_info info) {
    check(env, napi_get_cb_info(env, info, &count, values, nullptr, nullptr));
  }
  napi_value operator[](size_t i) const { return values[i]; }
};

// --- values -------------------------------------------------------------------------------------------------------
bool is_nullish(napi_env env, napi_value value);
int64_t to_int(napi_env env, napi_value value, const char* what);
double to_double(napi_env env, napi_value value, const char* what);
bool to_bool(napi_env env, napi_value value, const char* what);
std::string to_string(napi_env env, napi_value value, const char* what);
/// Calls body(element) for each element of an array. False where `value` is none.
bool for_elements(napi_env env, napi_value value, const std::function<void(napi_value)>& body);
std::vector<int64_t> to_int_list(napi_env env, napi_value value, const char* what);
at::Tensor to_tensor(napi_env env, napi_value value);
std::vector<at::Tensor> to_tensor_list(napi_env env, napi_value value);
at::ScalarType to_dtype(napi_env env, napi_value value);

napi_value from_tensor(napi_env env, at::Tensor tensor);
napi_value from_tensor_list(napi_env env, at::ArrayRef<at::Tensor> tensors);
napi_value from_int(napi_env env, int64_t value);
napi_value from_double(napi_env env, double value);
napi_value from_bool(napi_env env, bool value);
napi_value from_string(napi_env env, const std::string& value);

/// The array of what `from(env, element)` makes of each element.
template <class List, class From>
napi_value from_list(napi_env env, const List& list, From&& from) {
  napi_value array;
  check(env, napi_create_array_with_length(env, std::size(list), &array));
  uint32_t i = 0;
  for (const auto& element : list) check(env, napi_set_element(env, array, i++, from(env, element)));
  return array;
}

const char* dtype_name(at::ScalarType dtype);
std::string describe(const at::Tensor& tensor);

// --- registration, one function per file ----------------------------------------------------------------------------
using Exports = std::vector<napi_property_descriptor>;
void define(Exports& exports, const char* name, napi_callback callback);

/// Calls `function(env)` or `function(env, args)`, where its Args say how many arguments it takes. JavaScript gets
/// undefined from a function that returns nothing.
template <class Result, size_t... arity>
napi_value call_function(Result (*function)(napi_env, const Args<arity>&...), napi_env env,
                         [[maybe_unused]] napi_callback_info info) {
  if constexpr (std::is_void_v<Result>) {
    function(env, Args<arity>(env, info)...);
    return nullptr;
  } else {
    return function(env, Args<arity>(env, info)...);
  }
}

/// Exports a function as `call_function` calls it. What it throws becomes a JavaScript Error.
template <auto function>
void define(Exports& exports, const char* name) {
  define(exports, name, [](napi_env env, napi_callback_info info) {
    return guarded(env, [&] { return call_function(function, env, info); });
  });
}

void register_dispatch(Exports& exports);
void register_tensor(Exports& exports);
void register_autograd(Exports& exports);
void register_runtime(Exports& exports);
void register_group(Exports& exports);
void register_collectives(Exports& exports);
void register_reducer(Exports& exports);

/// Tells V8 how much CPU memory tensors hold, so that it collects forgotten ones in time.
void account_memory(napi_env env);
/// Tells V8 of decreases now, after memory went back to the system.
void forget_reported_memory(napi_env env);

}  // namespace rfdetr
