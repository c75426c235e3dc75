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

napi_value engine_version(napi_env env) { return from_string(env, TORCH_VERSION); }

/// The CPU that libtorch chose its kernels for, such as AVX512.
napi_value capability(napi_env env) { return from_string(env, at::get_cpu_capability()); }

/// The vector instructions that the kernels of this addon use.
napi_value kernel_isa(napi_env env) { return from_string(env, isa_name(isa())); }

napi_value has_cuda(napi_env env) { return from_bool(env, at::hasCUDA()); }

void set_threads(napi_env env, const Args<1>& args) {
  const int64_t count = to_int(env, args[0], "threads");
  if (count < 1 || count > 4096)
    throw_js(env, "Expected an integer between 1 and 4096 for threads but received " + std::to_string(count),
             "ERR_OUT_OF_RANGE");
  at::set_num_threads(static_cast<int>(count));
}

/// The threads of all threads of the process that have not set any; the first call counts.
void set_default_threads(napi_env env, const Args<1>& args) {
  static std::once_flag once;
  std::call_once(once, [&] { at::set_num_threads(static_cast<int>(to_int(env, args[0], "threads"))); });
}

napi_value get_threads(napi_env env) { return from_int(env, at::get_num_threads()); }

/// Seeds the default generator of every device.
void manual_seed(napi_env env, const Args<1>& args) {
  at::manual_seed(static_cast<uint64_t>(to_int(env, args[0], "seed")));
}

/// The generators that computing on a device draws from: the CPU's, and the device's own if it has one.
std::vector<at::Generator> generators_of(const c10::Device& device) {
  std::vector<at::Generator> generators{at::globalContext().defaultGenerator(at::kCPU)};
  if (!device.is_cpu() && !device.is_meta()) generators.push_back(at::globalContext().defaultGenerator(device));
  return generators;
}

/// generatorState(device) → the states of its generators, end to end.
napi_value generator_state(napi_env env, const Args<1>& args) {
  std::vector<at::Tensor> states;
  for (auto& generator : generators_of(c10::Device(to_string(env, args[0], "device")))) {
    const std::lock_guard lock(generator.mutex());
    states.push_back(generator.get_state());
  }
  return from_tensor(env, states.size() == 1 ? states[0] : at::cat(states));
}

void set_generator_state(napi_env env, const Args<2>& args) {
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
}

/// The caching allocator of a GPU; null for the CPU, whose memory memory.cc counts, and for a GPU that is not yet used.
c10::DeviceAllocator* allocator_of(const c10::Device& device) {
  if (device.is_cpu() || device.is_meta()) return nullptr;
  auto* const allocator = c10::getDeviceAllocator(device.type());
  return allocator->initialized() ? allocator : nullptr;
}

c10::DeviceIndex index_of(const c10::Device& device) { return device.has_index() ? device.index() : 0; }

napi_value from_ints(napi_env env, std::initializer_list<int64_t> values) { return from_list(env, values, from_int); }

constexpr auto all_pools = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);

/// memory(device) → [tensors of this thread, live bytes, peak bytes]; the bytes are those of the process.
napi_value memory(napi_env env, const Args<1>& args) {
  const c10::Device device(to_string(env, args[0], "device"));
  const int64_t tensors = env_of(env).handles.live();
  if (device.is_cpu() || device.is_meta()) return from_ints(env, {tensors, live_bytes(), peak_bytes()});
  auto* const allocator = allocator_of(device);
  if (!allocator) return from_ints(env, {tensors, 0, 0});
  const auto bytes = allocator->getDeviceStats(index_of(device)).allocated_bytes[all_pools];
  return from_ints(env, {tensors, bytes.current, bytes.peak});
}

/// deviceMemory(device) → [free bytes of the GPU, all its bytes, bytes that libtorch holds, the most that it held].
napi_value device_memory(napi_env env, const Args<1>& args) {
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
}

void reset_peak(napi_env env, const Args<1>& args) {
  const c10::Device device(to_string(env, args[0], "device"));
  if (auto* const allocator = allocator_of(device))
    allocator->resetPeakStats(index_of(device));
  else
    reset_peak_bytes();
}

napi_value release_cached(napi_env env, const Args<1>& args) {
  const c10::Device device(to_string(env, args[0], "device"));
  if (auto* const allocator = allocator_of(device)) {
    const auto held = [&] { return allocator->getDeviceStats(index_of(device)).reserved_bytes[all_pools].current; };
    const int64_t before = held();
    allocator->emptyCache();
    return from_int(env, before - held());
  }
  forget_reported_memory(env);
  return from_int(env, release_cached_memory());
}

/// Whether products and convolutions of float32 tensors on an NVIDIA GPU round their operands to TF32.
void set_tf32(napi_env env, const Args<1>& args) {
  const bool on = to_bool(env, args[0], "on");
  at::globalContext().setAllowTF32CuBLAS(on);
  at::globalContext().setAllowTF32CuDNN(on);
}

napi_value is_tf32(napi_env env) {
  return from_bool(env, at::globalContext().allowTF32CuBLAS() && at::globalContext().allowTF32CuDNN());
}

}  // namespace

void register_runtime(Exports& exports) {
  define<engine_version>(exports, "engineVersion");
  define<capability>(exports, "capability");
  define<kernel_isa>(exports, "kernelIsa");
  define<has_cuda>(exports, "hasCuda");
  define<set_threads>(exports, "setThreads");
  define<set_default_threads>(exports, "setDefaultThreads");
  define<get_threads>(exports, "getThreads");
  define<manual_seed>(exports, "manualSeed");
  define<generator_state>(exports, "generatorState");
  define<set_generator_state>(exports, "setGeneratorState");
  define<memory>(exports, "memory");
  define<device_memory>(exports, "deviceMemory");
  define<reset_peak>(exports, "resetPeak");
  define<release_cached>(exports, "releaseCached");
  define<set_tf32>(exports, "setTf32");
  define<is_tf32>(exports, "isTf32");
}

}  // namespace rfdetr
