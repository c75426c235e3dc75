// libtorch as a whole: version, threads, random numbers, memory.
#include "env.h"
#include "kernels/isa.h"
#include "memory.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/core/Generator.h>
#include <c10/core/CachingDeviceAllocator.h>
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

/// The generators that computing on a device draws from: the CPU's, and the device's own if it has one.
std::vector<at::Generator> generators_of(const c10::Device& device) {
  std::vector<at::Generator> generators{at::globalContext().defaultGenerator(at::kCPU)};
  if (!device.is_cpu() && !device.is_meta()) generators.push_back(at::globalContext().defaultGenerator(device));
  return generators;
}

/// generatorState(device) → the states of its generators, end to end.
napi_value generator_state(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const Args<1> args(env, info);
    std::vector<at::Tensor> states;
    for (auto& generator : generators_of(c10::Device(to_string(env, args[0], "device")))) {
      const std::lock_guard lock(generator.mutex());
      states.push_back(generator.get_state());
    }
    return from_tensor(env, states.size() == 1 ? states[0] : at::cat(states));
  });
}

napi_value set_generator_state(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const Args<2> args(env, info);
    const at::Tensor states = to_tensor(env, args[1]);
    int64_t begin = 0;
    for (auto& generator : generators_of(c10::Device(to_string(env, args[0], "device")))) {
      const std::lock_guard lock(generator.mutex());
      const int64_t size = generator.get_state().numel();
      TORCH_CHECK(states.dim() == 1 && states.numel() >= begin + size, "Expected the random state of this device but ",
                  "received one of ", states.numel(), " bytes");
      generator.set_state(states.narrow(0, begin, size).clone());
      begin += size;
    }
    return napi_value(nullptr);
  });
}

/// The caching allocator of a GPU; null for the CPU, whose memory memory.cc counts, and for a GPU that is not yet used.
c10::DeviceAllocator* allocator_of(const c10::Device& device) {
  if (device.is_cpu() || device.is_meta()) return nullptr;
  auto* const allocator = c10::getDeviceAllocator(device.type());
  return allocator->initialized() ? allocator : nullptr;
}

c10::DeviceIndex index_of(const c10::Device& device) { return device.has_index() ? device.index() : 0; }

napi_value from_ints(napi_env env, std::initializer_list<int64_t> values) {
  napi_value list;
  check(env, napi_create_array_with_length(env, values.size(), &list));
  uint32_t i = 0;
  for (const int64_t value : values) check(env, napi_set_element(env, list, i++, from_int(env, value)));
  return list;
}

constexpr auto all_pools = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);

/// memory(device) → [tensors of this thread, live bytes, peak bytes]; the bytes are those of the process.
napi_value memory(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const Args<1> args(env, info);
    const c10::Device device(to_string(env, args[0], "device"));
    const int64_t tensors = env_of(env).handles.live();
    if (device.is_cpu() || device.is_meta()) return from_ints(env, {tensors, live_bytes(), peak_bytes()});
    auto* const allocator = allocator_of(device);
    if (!allocator) return from_ints(env, {tensors, 0, 0});
    const auto bytes = allocator->getDeviceStats(index_of(device)).allocated_bytes[all_pools];
    return from_ints(env, {tensors, bytes.current, bytes.peak});
  });
}

/// deviceMemory(device) → [free bytes of the GPU, all its bytes, bytes that libtorch holds, the most that it held].
napi_value device_memory(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const Args<1> args(env, info);
    const c10::Device device(to_string(env, args[0], "device"));
    auto* allocator = allocator_of(device);
    if (!allocator && !device.is_cpu() && !device.is_meta()) {
      at::empty({1}, at::TensorOptions().device(device));  // makes libtorch open the device
      allocator = allocator_of(device);
    }
    TORCH_CHECK(allocator, "Expected a GPU for device but received ", device);
    const auto [free, total] = allocator->getMemoryInfo(index_of(device));
    const auto held = allocator->getDeviceStats(index_of(device)).reserved_bytes[all_pools];
    return from_ints(env, {static_cast<int64_t>(free), static_cast<int64_t>(total), held.current, held.peak});
  });
}

napi_value reset_peak(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const Args<1> args(env, info);
    const c10::Device device(to_string(env, args[0], "device"));
    if (auto* const allocator = allocator_of(device))
      allocator->resetPeakStats(index_of(device));
    else
      reset_peak_bytes();
    return napi_value(nullptr);
  });
}

napi_value release_cached(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const Args<1> args(env, info);
    const c10::Device device(to_string(env, args[0], "device"));
    if (auto* const allocator = allocator_of(device)) {
      const auto held = [&] { return allocator->getDeviceStats(index_of(device)).reserved_bytes[all_pools].current; };
      const int64_t before = held();
      allocator->emptyCache();
      return from_int(env, before - held());
    }
    forget_reported_memory(env);
    return from_int(env, release_cached_memory());
  });
}

/// Whether products and convolutions of float32 tensors on an NVIDIA GPU round their operands to TF32.
napi_value set_tf32(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const Args<1> args(env, info);
    const bool on = to_bool(env, args[0], "on");
    at::globalContext().setAllowTF32CuBLAS(on);
    at::globalContext().setAllowTF32CuDNN(on);
    return napi_value(nullptr);
  });
}

napi_value is_tf32(napi_env env, napi_callback_info) {
  return guarded(env, [&] {
    return from_bool(env, at::globalContext().allowTF32CuBLAS() && at::globalContext().allowTF32CuDNN());
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
  define(exports, "deviceMemory", device_memory);
  define(exports, "resetPeak", reset_peak);
  define(exports, "releaseCached", release_cached);
  define(exports, "setTf32", set_tf32);
  define(exports, "isTf32", is_tf32);
}

}  // namespace rfdetr
