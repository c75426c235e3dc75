// Converts JavaScript values to C++ values and back.
#include "env.h"

#include <cmath>

namespace rfdetr {

namespace {
struct DtypeName {
  at::ScalarType dtype;
  const char* name;
};
constexpr DtypeName dtypes[] = {
    {at::kFloat, "float32"}, {at::kDouble, "float64"}, {at::kHalf, "float16"}, {at::kBFloat16, "bfloat16"},
    {at::kLong, "int64"},    {at::kInt, "int32"},      {at::kShort, "int16"},  {at::kChar, "int8"},
    {at::kByte, "uint8"},    {at::kBool, "bool"},
};
}  // namespace

void check(napi_env env, napi_status status) {
  if (status == napi_ok) return;
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (pending || status == napi_pending_exception) throw JsExceptionPending{};
  const napi_extended_error_info* info = nullptr;
  napi_get_last_error_info(env, &info);
  throw std::runtime_error(info && info->error_message ? info->error_message : "Node-API call failed");
}

void throw_js(napi_env env, const std::string& message, const char* code) {
  napi_throw_error(env, code, message.c_str());
  throw JsExceptionPending{};
}

bool is_nullish(napi_env env, napi_value value) {
  napi_valuetype type;
  check(env, napi_typeof(env, value, &type));
  return type == napi_undefined || type == napi_null;
}

static std::string shown(napi_env env, napi_value value) {
  napi_value text;
  if (napi_coerce_to_string(env, value, &text) != napi_ok) {
    napi_value ignored;
    napi_get_and_clear_last_exception(env, &ignored);
    return "a value";
  }
  char buffer[81];
  size_t length = 0;
  napi_get_value_string_utf8(env, text, buffer, sizeof buffer, &length);
  return std::string(buffer, length);
}

static std::string type_name(napi_env env, napi_value value) {
  napi_valuetype type;
  napi_typeof(env, value, &type);
  switch (type) {
    case napi_undefined: return "undefined";
    case napi_null: return "null";
    case napi_boolean: return "boolean";
    case napi_number: return "number";
    case napi_string: return "string";
    case napi_bigint: return "bigint";
    case napi_function: return "function";
    default: return "object";
  }
}

[[noreturn]] static void expected(napi_env env, const char* what, const char* kind, napi_value value) {
  throw_js(env,
           std::string("Expected ") + kind + " for " + what + " but received " + shown(env, value) + " of type " +
               type_name(env, value),
           "ERR_INVALID_ARG_TYPE");
}

int64_t to_int(napi_env env, napi_value value, const char* what) {
  double number;
  if (napi_get_value_double(env, value, &number) == napi_ok) {
    if (std::nearbyint(number) != number || std::fabs(number) > 9007199254740992.0)
      expected(env, what, "integer", value);
    return static_cast<int64_t>(number);
  }
  int64_t result;
  bool lossless;
  if (napi_get_value_bigint_int64(env, value, &result, &lossless) == napi_ok && lossless) return result;
  bool flag;
  if (napi_get_value_bool(env, value, &flag) == napi_ok) return flag;
  expected(env, what, "integer", value);
}

double to_double(napi_env env, napi_value value, const char* what) {
  double number;
  if (napi_get_value_double(env, value, &number) == napi_ok) return number;
  expected(env, what, "number", value);
}

bool to_bool(napi_env env, napi_value value, const char* what) {
  bool flag;
  if (napi_get_value_bool(env, value, &flag) == napi_ok) return flag;
  expected(env, what, "boolean", value);
}

std::string to_string(napi_env env, napi_value value, const char* what) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) expected(env, what, "string", value);
  std::string text(length, '\0');
  check(env, napi_get_value_string_utf8(env, value, text.data(), length + 1, &length));
  return text;
}

bool for_elements(napi_env env, napi_value value, const std::function<void(napi_value)>& body) {
  bool is_array = false;
  napi_is_array(env, value, &is_array);
  if (!is_array) return false;
  uint32_t length = 0;
  check(env, napi_get_array_length(env, value, &length));
  for (uint32_t i = 0; i < length; ++i) {
    napi_value element;
    check(env, napi_get_element(env, value, i, &element));
    body(element);
  }
  return true;
}

/// What `read(element)` makes of each element of an array. @param kind what was expected, for the error where it is
/// none
template <class Read>
static auto to_list(napi_env env, napi_value value, const char* what, const char* kind, Read&& read) {
  std::vector<decltype(read(value))> list;
  if (!for_elements(env, value, [&](napi_value element) { list.push_back(read(element)); }))
    expected(env, what, kind, value);
  return list;
}

std::vector<int64_t> to_int_list(napi_env env, napi_value value, const char* what) {
  return to_list(env, value, what, "array of integers", [&](napi_value each) { return to_int(env, each, what); });
}

at::Tensor to_tensor(napi_env env, napi_value value) {
  int32_t handle;
  if (napi_get_value_int32(env, value, &handle) != napi_ok) expected(env, "tensor", "Tensor", value);
  return env_of(env).handles.get(handle);
}

std::vector<at::Tensor> to_tensor_list(napi_env env, napi_value value) {
  return to_list(env, value, "tensors", "array of Tensors", [&](napi_value each) { return to_tensor(env, each); });
}

at::ScalarType to_dtype(napi_env env, napi_value value) {
  const std::string name = to_string(env, value, "dtype");
  for (const auto& entry : dtypes)
    if (name == entry.name) return entry.dtype;
  std::string known;
  for (const auto& entry : dtypes) known += (known.empty() ? "" : ", ") + std::string(entry.name);
  throw_js(env, "Expected one of " + known + " for dtype but received " + name + " of type string",
           "ERR_INVALID_ARG_VALUE");
}

const char* dtype_name(at::ScalarType dtype) {
  for (const auto& entry : dtypes)
    if (dtype == entry.dtype) return entry.name;
  return c10::toString(dtype);
}

napi_value from_tensor(napi_env env, at::Tensor tensor) {
  napi_value result;
  if (!tensor.defined())
    check(env, napi_get_null(env, &result));
  else
    check(env, napi_create_int32(env, env_of(env).handles.add(std::move(tensor)), &result));
  return result;
}

napi_value from_tensor_list(napi_env env, at::ArrayRef<at::Tensor> tensors) {
  return from_list(env, tensors, from_tensor);
}

napi_value from_int(napi_env env, int64_t value) {
  napi_value result;
  check(env, napi_create_int64(env, value, &result));
  return result;
}

napi_value from_double(napi_env env, double value) {
  napi_value result;
  check(env, napi_create_double(env, value, &result));
  return result;
}

napi_value from_bool(napi_env env, bool value) {
  napi_value result;
  check(env, napi_get_boolean(env, value, &result));
  return result;
}

napi_value from_string(napi_env env, const std::string& value) {
  napi_value result;
  check(env, napi_create_string_utf8(env, value.data(), value.size(), &result));
  return result;
}

std::string describe(const at::Tensor& tensor) {
  if (!tensor.defined()) return "null";
  std::string text = dtype_name(tensor.scalar_type());
  text += '[';
  for (int64_t i = 0; i < tensor.dim(); ++i) text += (i ? "," : "") + std::to_string(tensor.size(i));
  text += ']';
  if (!tensor.device().is_cpu()) text += '@' + tensor.device().str();
  return text;
}

}  // namespace rfdetr
