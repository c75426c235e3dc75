// Entry of the addon. Node loads it once for a process, and calls init once for each thread that requires it.
#include "env.h"
#include "kernels/isa.h"
#include "memory.h"

#include <mutex>

namespace rfdetr {

void register_profiler(napi_env env, Exports& exports);

Env& env_of(napi_env env) {
  // An Env belongs to one thread, which nearly always asks for the same one.
  thread_local napi_env last_env = nullptr;
  thread_local Env* last = nullptr;
  if (env != last_env) {
    void* data = nullptr;
    napi_get_instance_data(env, &data);
    last = static_cast<Env*>(data);
    last_env = env;
  }
  return *last;
}

void define(Exports& exports, const char* name, napi_callback callback) {
  exports.push_back({name, nullptr, callback, nullptr, nullptr, nullptr, napi_enumerable, nullptr});
}

static napi_value init(napi_env env, napi_value exports) {
  return guarded(env, [&] {
    isa();  // throws where RFDETR_ISA is wrong
    static std::once_flag once;
    std::call_once(once, install_allocator);
    auto* state = new Env();
    state->env = env;
    napi_set_instance_data(env, state, [](napi_env, void* data, void*) { delete static_cast<Env*>(data); }, nullptr);
    Exports properties;
    register_dispatch(properties);
    register_tensor(properties);
    register_autograd(properties);
    register_runtime(properties);
    register_group(properties);
    register_collectives(properties);
    register_reducer(properties);
    register_profiler(env, properties);
    napi_define_properties(env, exports, properties.size(), properties.data());
    return exports;
  });
}

}  // namespace rfdetr

NAPI_MODULE_INIT() { return rfdetr::init(env, exports); }
