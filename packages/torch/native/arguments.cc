// JavaScript values as arguments of an operator, and its results as JavaScript values.
#include "operators.h"

#include <cmath>

namespace rfdetr {

namespace {

c10::IValue scalar(napi_env env, napi_value value, const char* what) {
  double number;
  if (napi_get_value_double(env, value, &number) == napi_ok) {
    // JavaScript has one type of number: whole numbers become int scalars, as `2` is in Python.
    if (std::nearbyint(number) == number && std::fabs(number) <= 9007199254740992.0 &&
        !(number == 0 && std::signbit(number)))
      return static_cast<int64_t>(number);
    return number;
  }
  bool flag;
  if (napi_get_value_bool(env, value, &flag) == napi_ok) return flag;
  return to_int(env, value, what);
}

template <class T, class Read>
c10::List<T> list_of(napi_env env, napi_value value, const char* what, Read&& read) {
  c10::List<T> list;
  if (!for_elements(env, value, [&](napi_value element) { list.push_back(read(element)); }))
    throw_js(env, std::string("Expected an array for ") + what, "ERR_INVALID_ARG_TYPE");
  return list;
}

c10::List<int64_t> int_list(napi_env env, napi_value value, const char* what, int32_t fixed_length) {
  napi_valuetype type;
  check(env, napi_typeof(env, value, &type));
  if (type != napi_number)
    return list_of<int64_t>(env, value, what, [&](napi_value v) { return to_int(env, v, what); });
  const int64_t number = to_int(env, value, what);
  c10::List<int64_t> list;
  for (int32_t i = 0; i < std::max(fixed_length, 1); ++i) list.push_back(number);
  return list;
}

int64_t to_layout(napi_env env, const std::string& name) {
  if (name == "strided") return static_cast<int64_t>(c10::Layout::Strided);
  if (name == "sparse_coo") return static_cast<int64_t>(c10::Layout::Sparse);
  throw_js(env, "Expected strided or sparse_coo for layout but received " + name, "ERR_INVALID_ARG_VALUE");
}

int64_t to_memory_format(napi_env env, const std::string& name) {
  if (name == "contiguous_format") return static_cast<int64_t>(c10::MemoryFormat::Contiguous);
  if (name == "preserve_format") return static_cast<int64_t>(c10::MemoryFormat::Preserve);
  if (name == "channels_last") return static_cast<int64_t>(c10::MemoryFormat::ChannelsLast);
  throw_js(env, "Expected contiguous_format, preserve_format or channels_last for memory_format but received " + name,
           "ERR_INVALID_ARG_VALUE");
}

}  // namespace

c10::IValue to_ivalue(napi_env env, const Argument& argument, napi_value value) {
  const char* what = argument.name.c_str();
  switch (argument.kind) {
    case Kind::Tensor: return to_tensor(env, value);
    case Kind::TensorList:
      return list_of<at::Tensor>(env, value, what, [&](napi_value v) { return to_tensor(env, v); });
    case Kind::OptionalTensorList:
      return list_of<std::optional<at::Tensor>>(env, value, what, [&](napi_value v) -> std::optional<at::Tensor> {
        if (is_nullish(env, v)) return std::nullopt;
        return to_tensor(env, v);
      });
    case Kind::Scalar: return scalar(env, value, what);
    case Kind::ScalarList: {
      c10::impl::GenericList list(c10::NumberType::get());
      for (const double number :
           list_of<double>(env, value, what, [&](napi_value v) { return to_double(env, v, what); }))
        list.push_back(number);
      return list;
    }
    case Kind::Int: return to_int(env, value, what);
    case Kind::IntList: return int_list(env, value, what, argument.fixed_length);
    case Kind::Float: return to_double(env, value, what);
    case Kind::FloatList:
      return list_of<double>(env, value, what, [&](napi_value v) { return to_double(env, v, what); });
    case Kind::Bool: return to_bool(env, value, what);
    case Kind::BoolList: return list_of<bool>(env, value, what, [&](napi_value v) { return to_bool(env, v, what); });
    case Kind::String: return to_string(env, value, what);
    case Kind::Dtype: return static_cast<int64_t>(to_dtype(env, value));
    case Kind::Device: return c10::Device(to_string(env, value, what));
    case Kind::Layout: return to_layout(env, to_string(env, value, what));
    case Kind::MemoryFormat: return to_memory_format(env, to_string(env, value, what));
    case Kind::Generator: {
      // Given by its seed: a new CPU generator for this call.
      auto generator = at::globalContext().defaultGenerator(at::kCPU).clone();
      generator.set_current_seed(static_cast<uint64_t>(to_int(env, value, what)));
      return generator;
    }
    case Kind::Unsupported: break;
  }
  throw_js(env, std::string("Expected no value for ") + what + ", because its type has no JavaScript form",
           "ERR_INVALID_ARG_TYPE");
}

napi_value from_ivalue(napi_env env, const c10::IValue& value) {
  if (value.isTensor()) return from_tensor(env, value.toTensor());
  if (value.isTensorList()) return from_tensor_list(env, value.toTensorVector());
  if (value.isBool()) return from_bool(env, value.toBool());
  if (value.isInt() || value.isSymInt()) return from_int(env, value.toInt());
  if (value.isDouble()) return from_double(env, value.toDouble());
  if (value.isScalar()) return from_double(env, value.toScalar().toDouble());
  if (value.isString()) return from_string(env, value.toStringRef());
  if (value.isList()) return from_list(env, value.toListRef(), from_ivalue);
  napi_value result;
  check(env, napi_get_null(env, &result));
  return result;
}

std::string describe_arguments(napi_env env, const Operator& op, napi_value* values, size_t count) {
  std::string text;
  const auto add = [&](napi_value value) {
    int32_t handle;
    if (napi_get_value_int32(env, value, &handle) == napi_ok && env_of(env).handles.holds(handle))
      text += describe(env_of(env).handles.get(handle));
    else
      text += "disposed";
  };
  for (size_t i = 0; i < op.arguments.size() && i < count; ++i) {
    const auto& argument = op.arguments[i];
    if (is_nullish(env, values[i])) continue;
    text += (text.empty() ? "" : ", ") + argument.name + ": ";
    bool is_array = false;
    napi_is_array(env, values[i], &is_array);
    if (argument.kind == Kind::Tensor) {
      add(values[i]);
    } else if (argument.kind == Kind::TensorList && is_array) {
      uint32_t length = 0;
      napi_get_array_length(env, values[i], &length);
      text += '(';
      for (uint32_t k = 0; k < length && k < 8; ++k) {
        napi_value element;
        napi_get_element(env, values[i], k, &element);
        if (k) text += ", ";
        add(element);
      }
      text += length > 8 ? ", ...)" : ")";
    } else {
      napi_value string;
      char buffer[65];
      size_t length = 0;
      if (napi_coerce_to_string(env, values[i], &string) == napi_ok &&
          napi_get_value_string_utf8(env, string, buffer, sizeof buffer, &length) == napi_ok)
        text += is_array ? '[' + std::string(buffer, length) + ']' : std::string(buffer, length);
    }
  }
  return text;
}

}  // namespace rfdetr
