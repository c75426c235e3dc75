// JavaScript functions in the graph, and passes of autograd that call them from whatever thread libtorch runs them on.
//
// Backward of CPU tensors runs on the thread that called it. Backward of a GPU's tensors runs on a thread of libtorch
// for that device, which may not touch JavaScript. So a pass over such tensors runs on a thread of its own, while the
// JavaScript thread waits and serves the calls that come. A function that starts another pass (checkpointing does)
// hands it to the thread that waits for that function: libtorch has one thread for a device, and this is it.
#pragma once
#include "env.h"

#include <functional>

namespace rfdetr {

/// A JavaScript function that the graph holds. The last holder on another thread leaves the reference to the end of the
/// environment.
class JsFunction {
 public:
  JsFunction(napi_env env, napi_value function);
  ~JsFunction();
  JsFunction(const JsFunction&) = delete;
  JsFunction& operator=(const JsFunction&) = delete;

  /// Calls with gradient handles, null where autograd has none, on the thread of the environment. `take` converts the
  /// result there. JavaScript releases the gradients.
  void call(at::ArrayRef<at::Tensor> gradients, const std::function<void(napi_value)>& take) const;

  napi_env env() const { return env_; }

 private:
  napi_env env_;
  std::thread::id thread_ = std::this_thread::get_id();
  napi_ref reference_ = nullptr;
};

/// Runs a pass of autograd that begins at `roots`, and serves the calls of JavaScript functions until it has ended.
void run_pass(at::ArrayRef<at::Tensor> roots, const std::function<void()>& pass);

}  // namespace rfdetr
