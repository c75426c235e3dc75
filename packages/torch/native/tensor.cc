// Properties of a tensor, and copies between its elements and typed arrays.
#include "env.h"

#include <c10/core/GradMode.h>

#include <cstring>

namespace rfdetr {

namespace {

napi_value shape(napi_env env, const Args<1>& args) {
  return from_list(env, to_tensor(env, args[0]).sizes(), from_int);
}

napi_value strides(napi_env env, const Args<1>& args) {
  return from_list(env, to_tensor(env, args[0]).strides(), from_int);
}

napi_value dtype(napi_env env, const Args<1>& args) {
  return from_string(env, dtype_name(to_tensor(env, args[0]).scalar_type()));
}

napi_value device(napi_env env, const Args<1>& args) {
  return from_string(env, to_tensor(env, args[0]).device().str());
}

napi_value is_contiguous(napi_env env, const Args<1>& args) {
  return from_bool(env, to_tensor(env, args[0]).is_contiguous());
}

/// Autograd's counter of in-place changes of the storage.
napi_value version(napi_env env, const Args<1>& args) { return from_int(env, to_tensor(env, args[0])._version()); }

napi_value item(napi_env env, const Args<1>& args) {
  const at::Tensor tensor = to_tensor(env, args[0]);
  if (tensor.numel() != 1)
    throw std::runtime_error("Expected a tensor of one element for item() but received " + describe(tensor));
  const at::Scalar scalar = tensor.item();
  return scalar.isIntegral(true) ? from_int(env, scalar.toLong()) : from_double(env, scalar.toDouble());
}

struct Bytes {
  char* data;
  size_t length;
};

Bytes bytes_of(napi_env env, napi_value value) {
  bool is_typed = false;
  napi_is_typedarray(env, value, &is_typed);
  if (!is_typed) throw std::runtime_error("Expected a typed array");
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  check(env, napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr));
  size_t width = 8;
  switch (type) {
    case napi_int8_array:
    case napi_uint8_array:
    case napi_uint8_clamped_array: width = 1; break;
    case napi_int16_array:
    case napi_uint16_array: width = 2; break;
    case napi_int32_array:
    case napi_uint32_array:
    case napi_float32_array: width = 4; break;
    default: break;
  }
  return {static_cast<char*>(data), length * width};
}

/// fromBytes(typedArray, shape, dtype) → a new CPU tensor with a copy of the bytes.
napi_value from_bytes(napi_env env, const Args<3>& args) {
  const Bytes bytes = bytes_of(env, args[0]);
  const auto sizes = to_int_list(env, args[1], "shape");
  const auto scalar_type = to_dtype(env, args[2]);
  for (const int64_t size : sizes)
    if (size < 0)
      throw std::runtime_error("Expected sizes of at least 0 for shape but received " + std::to_string(size));
  at::Tensor tensor = at::empty(sizes, at::TensorOptions().dtype(scalar_type));
  if (tensor.nbytes() != bytes.length)
    throw std::runtime_error("Expected " + std::to_string(tensor.nbytes()) + " bytes for " + describe(tensor) +
                             " but received " + std::to_string(bytes.length));
  if (bytes.length) std::memcpy(tensor.data_ptr(), bytes.data, bytes.length);
  account_memory(env);
  return from_tensor(env, std::move(tensor));
}

/// copyBytes(tensor, typedArray, toTensor): copies the elements, row-major and in the tensor's dtype, from the array to
/// the tensor where `toTensor`, otherwise from the tensor to the array.
napi_value copy_bytes(napi_env env, const Args<3>& args) {
  const at::Tensor tensor = to_tensor(env, args[0]);
  const Bytes bytes = bytes_of(env, args[1]);
  if (tensor.nbytes() != bytes.length)
    throw std::runtime_error("Expected " + std::to_string(tensor.nbytes()) + " bytes for " + describe(tensor) +
                             " but received " + std::to_string(bytes.length));
  const c10::NoGradGuard no_grad;
  if (to_bool(env, args[2], "toTensor")) {
    at::Tensor source = at::from_blob(bytes.data, tensor.sizes(), at::TensorOptions().dtype(tensor.scalar_type()));
    tensor.copy_(source);
  } else if (bytes.length) {
    const at::Tensor source = tensor.detach().cpu().contiguous();
    std::memcpy(bytes.data, source.data_ptr(), bytes.length);
  }
  return args[1];
}

void release(napi_env env, const Args<1>& args) { env_of(env).handles.release(to_int(env, args[0], "handle")); }

}  // namespace

void register_tensor(Exports& exports) {
  define<shape>(exports, "shape");
  define<strides>(exports, "strides");
  define<dtype>(exports, "dtype");
  define<device>(exports, "device");
  define<is_contiguous>(exports, "isContiguous");
  define<version>(exports, "version");
  define<item>(exports, "item");
  define<from_bytes>(exports, "fromBytes");
  define<copy_bytes>(exports, "copyBytes");
  define<release>(exports, "release");
}

}  // namespace rfdetr
