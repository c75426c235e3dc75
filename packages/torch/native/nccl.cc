// The backend of NCCL, whose headers come with the wheels of a CUDA engine. Without all of them there is none.
#include "group.h"

#if __has_include(<nccl.h>) && __has_include(<cuda_runtime.h>) && __has_include(<crt/host_config.h>) && \
    __has_include(<nv/target>)
#define USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

namespace rfdetr {

#ifdef USE_C10D_NCCL
c10::intrusive_ptr<c10d::Backend> make_nccl(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                            c10::Device device, std::chrono::milliseconds timeout) {
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = timeout;
  auto backend = c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size, options);
  backend->setBoundDeviceId(device);
  return backend;
}

void abort_nccl(const c10::intrusive_ptr<c10d::Backend>& backend) { backend->abort(); }
#else
c10::intrusive_ptr<c10d::Backend> make_nccl(const c10::intrusive_ptr<c10d::Store>&, int, int, c10::Device,
                                            std::chrono::milliseconds) {
  throw std::runtime_error(
      "this addon was built without NCCL, by which tensors of a GPU travel: its headers were not found");
}

void abort_nccl(const c10::intrusive_ptr<c10d::Backend>&) {}
#endif

}  // namespace rfdetr
