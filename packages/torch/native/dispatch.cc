// The one door: any operator of libtorch's dispatcher, called by schema with boxed arguments.
#include "env.h"
#include "stable_table.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/jit_type.h>
#include <ATen/core/stack.h>

#include <cmath>
#include <memory>

namespace rfdetr {

namespace {

enum class Kind {
  Tensor,
  TensorList,
  OptionalTensorList,
  Scalar,
  ScalarList,
  Int,
  IntList,
  Float,
  FloatList,
  Bool,
  BoolList,
  String,
  Dtype,
  Device,
  Layout,
  MemoryFormat,
  Generator,
  Unsupported
};

struct Argument {
  std::string name;
  Kind kind;
  bool optional;
  /// Length of fixed-size lists such as `int[2] stride`: a single number stands for that many.
  int32_t repeat;
  std::optional<c10::IValue> fallback;
};

struct Operator {
  c10::OperatorHandle handle;
  std::string name;
  std::vector<Argument> arguments;
};

/// Operators found so far, shared by all threads. libtorch has about 3,000.
StableTable<Operator, 1 << 14> operators;

Kind kind_of(const c10::TypePtr& type) {
  const std::string text = type->str();
  static const std::unordered_map<std::string, Kind> kinds = {
      {"Tensor", Kind::Tensor},
      {"Tensor[]", Kind::TensorList},
      {"Tensor?[]", Kind::OptionalTensorList},
      {"Scalar", Kind::Scalar},
      {"number", Kind::Scalar},
      {"Scalar[]", Kind::ScalarList},
      {"number[]", Kind::ScalarList},
      {"int", Kind::Int},
      {"SymInt", Kind::Int},
      {"int[]", Kind::IntList},
      {"SymInt[]", Kind::IntList},
      {"float", Kind::Float},
      {"float[]", Kind::FloatList},
      {"bool", Kind::Bool},
      {"bool[]", Kind::BoolList},
      {"str", Kind::String},
      {"ScalarType", Kind::Dtype},
      {"Device", Kind::Device},
      {"Layout", Kind::Layout},
      {"MemoryFormat", Kind::MemoryFormat},
      {"Generator", Kind::Generator},
      {"SymBool", Kind::Bool},
  };
  const auto found = kinds.find(text);
  return found == kinds.end() ? Kind::Unsupported : found->second;
}

const char* kind_name(Kind kind) {
  constexpr const char* names[] = {"Tensor", "Tensor[]", "Tensor?[]", "Scalar",        "Scalar[]",  "int",
                                   "int[]",  "float",    "float[]",   "bool",          "bool[]",    "str",
                                   "dtype",  "device",   "layout",    "memory_format", "generator", "unsupported"};
  return names[static_cast<int>(kind)];
}

std::unique_ptr<Operator> load_operator(const std::string& name, const std::string& overload) {
  const auto handle = c10::Dispatcher::singleton().findSchema({name, overload});
  if (!handle) return nullptr;
  auto op = std::make_unique<Operator>(*handle, overload.empty() ? name : name + "." + overload);
  for (const auto& argument : handle->schema().arguments()) {
    c10::TypePtr type = argument.real_type();
    bool optional = false;
    if (const auto inner = type->cast<c10::OptionalType>()) {
      optional = true;
      type = inner->getElementType();
    }
    op->arguments.push_back(
        {argument.name(), kind_of(type), optional, argument.N().value_or(0), argument.default_value()});
  }
  return op;
}

int32_t find_operator(const std::string& name, const std::string& overload) {
  return operators.find_or_add(name + "." + overload, [&] { return load_operator(name, overload).release(); });
}

c10::IValue scalar(napi_env env, napi_value value, const char* what) {
  double number;
  if (napi_get_value_double(env, value, &number) == napi_ok) {
    // JavaScript has one number type: whole numbers stand for int scalars, as `2` does in Python.
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
  bool is_array = false;
  napi_is_array(env, value, &is_array);
  if (!is_array) throw_js(env, std::string("Expected array for ") + what, "ERR_INVALID_ARG_TYPE");
  uint32_t length = 0;
  check(env, napi_get_array_length(env, value, &length));
  c10::List<T> list;
  list.reserve(length);
  for (uint32_t i = 0; i < length; ++i) {
    napi_value element;
    check(env, napi_get_element(env, value, i, &element));
    list.push_back(read(element));
  }
  return list;
}

c10::IValue convert(napi_env env, const Argument& argument, napi_value value) {
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
    case Kind::IntList: {
      napi_valuetype type;
      check(env, napi_typeof(env, value, &type));
      if (type == napi_number) {
        const int64_t number = to_int(env, value, what);
        c10::List<int64_t> list;
        for (int32_t i = 0; i < std::max(argument.repeat, 1); ++i) list.push_back(number);
        return list;
      }
      return list_of<int64_t>(env, value, what, [&](napi_value v) { return to_int(env, v, what); });
    }
    case Kind::Float: return to_double(env, value, what);
    case Kind::FloatList:
      return list_of<double>(env, value, what, [&](napi_value v) { return to_double(env, v, what); });
    case Kind::Bool: return to_bool(env, value, what);
    case Kind::BoolList: return list_of<bool>(env, value, what, [&](napi_value v) { return to_bool(env, v, what); });
    case Kind::String: return to_string(env, value, what);
    case Kind::Dtype: return static_cast<int64_t>(to_dtype(env, value));
    case Kind::Device: return c10::Device(to_string(env, value, what));
    case Kind::Layout: {
      const std::string name = to_string(env, value, what);
      if (name == "strided") return static_cast<int64_t>(c10::Layout::Strided);
      if (name == "sparse_coo") return static_cast<int64_t>(c10::Layout::Sparse);
      throw_js(env, "Expected strided or sparse_coo for layout but received " + name, "ERR_INVALID_ARG_VALUE");
    }
    case Kind::MemoryFormat: {
      const std::string name = to_string(env, value, what);
      if (name == "contiguous_format") return static_cast<int64_t>(c10::MemoryFormat::Contiguous);
      if (name == "preserve_format") return static_cast<int64_t>(c10::MemoryFormat::Preserve);
      if (name == "channels_last") return static_cast<int64_t>(c10::MemoryFormat::ChannelsLast);
      throw_js(env,
               "Expected contiguous_format, preserve_format or channels_last for memory_format but received " + name,
               "ERR_INVALID_ARG_VALUE");
    }
    case Kind::Generator: {
      // A generator is named by its seed: a fresh CPU generator for this one call.
      auto generator = at::globalContext().defaultGenerator(at::kCPU).clone();
      generator.set_current_seed(static_cast<uint64_t>(to_int(env, value, what)));
      return generator;
    }
    case Kind::Unsupported: break;
  }
  throw_js(env, std::string("Expected nothing for ") + what + ": its type has no JavaScript form",
           "ERR_INVALID_ARG_TYPE");
}

napi_value to_js(napi_env env, const c10::IValue& value) {
  if (value.isTensor()) return from_tensor(env, value.toTensor());
  if (value.isTensorList()) return from_tensor_list(env, value.toTensorVector());
  if (value.isBool()) return from_bool(env, value.toBool());
  if (value.isInt() || value.isSymInt()) return from_int(env, value.toInt());
  if (value.isDouble()) return from_double(env, value.toDouble());
  if (value.isScalar()) return from_double(env, value.toScalar().toDouble());
  if (value.isString()) return from_string(env, value.toStringRef());
  napi_value result;
  if (value.isList()) {
    const auto list = value.toListRef();
    check(env, napi_create_array_with_length(env, list.size(), &result));
    for (size_t i = 0; i < list.size(); ++i) check(env, napi_set_element(env, result, i, to_js(env, list[i])));
    return result;
  }
  check(env, napi_get_null(env, &result));
  return result;
}

/// One line on the arguments as they came, for error messages.
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

void throw_operator_error(napi_env env, const Operator& op, napi_value* values, size_t count, std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const std::string arguments = describe_arguments(env, op, values, count);
  napi_value message, error, code;
  napi_create_string_utf8(env, (op.name + "(" + arguments + "): " + text).c_str(), NAPI_AUTO_LENGTH, &message);
  napi_create_string_utf8(env, "ERR_TORCH", NAPI_AUTO_LENGTH, &code);
  napi_create_error(env, code, message, &error);
  const auto set = [&](const char* key, const std::string& value) {
    napi_value string;
    napi_create_string_utf8(env, value.data(), value.size(), &string);
    napi_set_named_property(env, error, key, string);
  };
  set("operator", op.name);
  set("arguments", arguments);
  napi_throw(env, error);
}

constexpr size_t max_arguments = 40;

/// call(id, ...arguments): tensors come and go as handles; undefined takes the schema's default.
napi_value call(napi_env env, napi_callback_info info) {
  napi_value values[max_arguments + 1];
  size_t count = max_arguments + 1;
  if (napi_get_cb_info(env, info, &count, values, nullptr, nullptr) != napi_ok) return nullptr;
  int32_t id = -1;
  const Operator* known = nullptr;
  if (count >= 1 && napi_get_value_int32(env, values[0], &id) == napi_ok) known = operators.get(id);
  if (!known) {
    napi_throw_error(env, "ERR_INVALID_ARG_VALUE", "Expected the id of an operator, as findOperator returns it");
    return nullptr;
  }
  const Operator& op = *known;
  const size_t given = std::min(count - 1, max_arguments);
  try {
    torch::jit::Stack stack;
    stack.reserve(std::max<size_t>(op.arguments.size(), 4));
    for (size_t i = 0; i < op.arguments.size(); ++i) {
      const Argument& argument = op.arguments[i];
      napi_valuetype type = napi_undefined;
      if (i < given) check(env, napi_typeof(env, values[i + 1], &type));
      if (type == napi_undefined || type == napi_null) {
        if (argument.fallback)
          stack.push_back(*argument.fallback);
        else if (argument.optional)
          stack.emplace_back();
        else
          throw_js(
              env,
              op.name + ": Expected " + kind_name(argument.kind) + " for " + argument.name + " but received nothing",
              "ERR_INVALID_ARG_TYPE");
      } else {
        stack.push_back(convert(env, argument, values[i + 1]));
      }
    }
    op.handle.callBoxed(stack);
    account_memory(env);
    if (stack.size() == 1) return to_js(env, stack[0]);
    napi_value result;
    if (stack.empty()) {
      check(env, napi_get_undefined(env, &result));
      return result;
    }
    check(env, napi_create_array_with_length(env, stack.size(), &result));
    for (size_t i = 0; i < stack.size(); ++i) check(env, napi_set_element(env, result, i, to_js(env, stack[i])));
    return result;
  } catch (const JsExceptionPending&) {
  } catch (const c10::Error& error) {
    throw_operator_error(env, op, values + 1, given, error.what_without_backtrace());
  } catch (const std::exception& error) {
    throw_operator_error(env, op, values + 1, given, error.what());
  } catch (...) {
    throw_operator_error(env, op, values + 1, given, "libtorch threw something that is not a C++ exception");
  }
  return nullptr;
}

/// findOperator(name, overload) → id, or -1 when libtorch has no such operator.
napi_value find(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const Args<2> args(env, info);
    return from_int(env, find_operator(to_string(env, args[0], "name"), to_string(env, args[1], "overload")));
  });
}

/// operatorSchema(id) → [[[name, kind, optional, hasDefault] of each argument], [kind of each result]].
napi_value schema_of(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const Args<1> args(env, info);
    const Operator* known = operators.get(to_int(env, args[0], "id"));
    if (!known) throw_js(env, "Expected the id of an operator, as findOperator returns it", "ERR_INVALID_ARG_VALUE");
    const Operator& op = *known;
    napi_value list;
    check(env, napi_create_array_with_length(env, op.arguments.size(), &list));
    for (size_t i = 0; i < op.arguments.size(); ++i) {
      const auto& argument = op.arguments[i];
      napi_value row;
      check(env, napi_create_array_with_length(env, 4, &row));
      napi_set_element(env, row, 0, from_string(env, argument.name));
      napi_set_element(env, row, 1, from_string(env, kind_name(argument.kind)));
      napi_set_element(env, row, 2, from_bool(env, argument.optional));
      napi_set_element(env, row, 3, from_bool(env, argument.fallback.has_value()));
      check(env, napi_set_element(env, list, i, row));
    }
    const auto& returns = op.handle.schema().returns();
    napi_value results, both;
    check(env, napi_create_array_with_length(env, returns.size(), &results));
    for (size_t i = 0; i < returns.size(); ++i)
      check(env, napi_set_element(env, results, i, from_string(env, kind_name(kind_of(returns[i].real_type())))));
    check(env, napi_create_array_with_length(env, 2, &both));
    check(env, napi_set_element(env, both, 0, list));
    check(env, napi_set_element(env, both, 1, results));
    return both;
  });
}

/// schemas() → every operator's schema as text, the source of the typed operators.
napi_value schemas(napi_env env, napi_callback_info) {
  return guarded(env, [&] {
    auto& dispatcher = c10::Dispatcher::singleton();
    napi_value list;
    check(env, napi_create_array(env, &list));
    uint32_t count = 0;
    for (const auto& name : dispatcher.getAllOpNames()) {
      const auto op = dispatcher.findSchema(name);
      if (op) check(env, napi_set_element(env, list, count++, from_string(env, c10::toString(op->schema()))));
    }
    return list;
  });
}

}  // namespace

void register_dispatch(Exports& exports) {
  define(exports, "call", call);
  define(exports, "findOperator", find);
  define(exports, "operatorSchema", schema_of);
  define(exports, "schemas", schemas);
}

}  // namespace rfdetr
