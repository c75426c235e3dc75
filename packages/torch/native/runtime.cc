// libtorch as a whole: version, threads, random numbers, memory.
#include "env.h"
#include "kernels/isa.h"
#include "memory.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/core/Generator.h>
#include <torch/version.h>

#include <mutex>

namespace rfdetr {

namespace {

napi_value version(napi_env env, napi_callback_info) {
  return guarded(env, [&] { return from_string(env, TORCH_VERSION); });
}

/// The CPU that libtorch chose its kernels for, such as AVX512.
napi_value capability(napi_env env, napi_callback_info) {
  return guarded(env, [&] { return from_string(env, at::get_cpu_capability()); });
}

/// The vector instructions that the kernels of this addon use.
napi_value kernel_isa(napi_env env, napi_callback_info) {
  return guarded(env, [&] { return from_string(env, isa_name(isa())); });
}

napi_value has_cuda(napi_env env, napi_callback_info) {
  return guarded(env, [&] { return from_bool(env, at::hasCUDA()); });
}

napi_value set_threads(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const Args<1> args(env, info);
    const int64_t count = to_int(env, args[0], "threads");
    if (count < 1 || count > 4096)
      throw_js(env, "Expected an integer between 1 and 4096 for threads but received " + std::to_string(count),
               "ERR_OUT_OF_RANGE");
    at::set_num_threads(static_cast<int>(count));
    return napi_value(nullptr);
  });
}

/// The threads of all threads of the process that have not set any; the first call counts.
napi_value set_default_threads(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const Args<1> args(env, info);
    static std::once_flag once;
    std::call_once(once, [&] { at::set_num_threads(static_cast<int>(to_int(env, args[0], "threads"))); });
    return napi_value(nullptr);
  });
}

napi_value get_threads(napi_env env, napi_callback_info) {
  return guarded(env, [&] { return from_int(env, at::get_num_threads()); });
}

/// Seeds the default generator of every device.
napi_value manual_seed(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const Args<1> args(env, info);
    at::manual_seed(static_cast<uint64_t>(to_int(env, args[0], "seed")));
    return napi_value(nullptr);
  });
}

napi_value generator_state(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const Args<1> args(env, info);
    auto generator = at::globalContext().defaultGenerator(c10::Device(to_string(env, args[0], "device")));
    const std::lock_guard lock(generator.mutex());
    return from_tensor(env, generator.get_state());
  });
}

napi_value set_generator_state(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const Args<2> args(env, info);
    auto generator = at::globalContext().defaultGenerator(c10::Device(to_string(env, args[0], "device")));
    const at::Tensor state = to_tensor(env, args[1]);
    const std::lock_guard lock(generator.mutex());
    generator.set_state(state);
    return napi_value(nullptr);
  });
}

/// memory() → [tensors of this thread, live bytes, peak bytes]; the bytes are those of all CPU tensors of the process.
napi_value memory(napi_env env, napi_callback_info) {
  return guarded(env, [&] {
    napi_value list;
    check(env, napi_create_array_with_length(env, 3, &list));
    napi_set_element(env, list, 0, from_int(env, env_of(env).handles.live()));
    napi_set_element(env, list, 1, from_int(env, live_bytes()));
    napi_set_element(env, list, 2, from_int(env, peak_bytes()));
    return list;
  });
}

napi_value reset_peak(napi_env env, napi_callback_info) {
  return guarded(env, [&] {
    reset_peak_bytes();
    return napi_value(nullptr);
  });
}

napi_value release_cached(napi_env env, napi_callback_info) {
  return guarded(env, [&] {
    forget_reported_memory(env);
    return from_int(env, release_cached_memory());
  });
}

}  // namespace

void register_runtime(Exports& exports) {
  define(exports, "engineVersion", version);
  define(exports, "capability", capability);
  define(exports, "kernelIsa", kernel_isa);
  define(exports, "hasCuda", has_cuda);
  define(exports, "setThreads", set_threads);
  define(exports, "setDefaultThreads", set_default_threads);
  define(exports, "getThreads", get_threads);
  define(exports, "manualSeed", manual_seed);
  define(exports, "generatorState", generator_state);
  define(exports, "setGeneratorState", set_generator_state);
  define(exports, "memory", memory);
  define(exports, "resetPeak", reset_peak);
  define(exports, "releaseCached", release_cached);
}

}  // namespace rfdetr
