// Calls any operator of libtorch's dispatcher by its schema, with boxed arguments.
#include "operators.h"

#include <ATen/core/stack.h>

namespace rfdetr {

namespace {

/// Throws an Error with code ERR_TORCH, and with the operator and its arguments as properties.
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

/// The operator's arguments as a stack; the schema's default for undefined and null.
torch::jit::Stack stack_of(napi_env env, const Operator& op, const napi_value* values, size_t count) {
  torch::jit::Stack stack;
  stack.reserve(std::max<size_t>(op.arguments.size(), 4));
  for (size_t i = 0; i < op.arguments.size(); ++i) {
    const Argument& argument = op.arguments[i];
    if (i < count && !is_nullish(env, values[i])) {
      stack.push_back(to_ivalue(env, argument, values[i]));
    } else if (argument.fallback) {
      stack.push_back(*argument.fallback);
    } else if (argument.optional) {
      stack.emplace_back();
    } else {
      const std::string expected = std::string(kind_name(argument.kind)) + " for " + argument.name;
      throw_js(env, op.name + ": Expected " + expected + " but received nothing", "ERR_INVALID_ARG_TYPE");
    }
  }
  return stack;
}

/// undefined, one result, or an array of results.
napi_value results_of(napi_env env, const torch::jit::Stack& stack) {
  if (stack.size() == 1) return from_ivalue(env, stack[0]);
  if (!stack.empty()) return from_list(env, stack, from_ivalue);
  napi_value result;
  check(env, napi_get_undefined(env, &result));
  return result;
}

/// call(id, ...arguments) → result. Tensors are handles.
napi_value call(napi_env env, napi_callback_info info) {
  napi_value values[max_arguments + 1];
  size_t count = max_arguments + 1;
  if (napi_get_cb_info(env, info, &count, values, nullptr, nullptr) != napi_ok) return nullptr;
  int32_t id = -1;
  const Operator* op = nullptr;
  if (count >= 1 && napi_get_value_int32(env, values[0], &id) == napi_ok) op = operator_of(id);
  if (!op) {
    napi_throw_error(env, "ERR_INVALID_ARG_VALUE", "Expected the id of an operator, as findOperator returns it");
    return nullptr;
  }
  const size_t given = std::min(count - 1, max_arguments);
  try {
    torch::jit::Stack stack = stack_of(env, *op, values + 1, given);
    op->handle.callBoxed(stack);
    account_memory(env);
    return results_of(env, stack);
  } catch (const JsExceptionPending&) {
  } catch (const c10::Error& error) {
    throw_operator_error(env, *op, values + 1, given, error.what_without_backtrace());
  } catch (const std::exception& error) {
    throw_operator_error(env, *op, values + 1, given, error.what());
  } catch (...) {
    throw_operator_error(env, *op, values + 1, given, "libtorch threw something that is not a C++ exception");
  }
  return nullptr;
}

/// findOperator(name, overload) → id, or -1 when libtorch has no such operator.
napi_value find(napi_env env, const Args<2>& args) {
  return from_int(env, find_operator(to_string(env, args[0], "name"), to_string(env, args[1], "overload")));
}

/// operatorSchema(id) → [[[name, kind, optional, hasDefault] of each argument], [kind of each result]].
napi_value schema_of(napi_env env, const Args<1>& args) {
  const Operator* op = operator_of(to_int(env, args[0], "id"));
  if (!op) throw_js(env, "Expected the id of an operator, as findOperator returns it", "ERR_INVALID_ARG_VALUE");
  const auto itself = [](napi_env, napi_value value) { return value; };
  const napi_value arguments = from_list(env, op->arguments, [&](napi_env, const Argument& argument) {
    const napi_value row[]{from_string(env, argument.name), from_string(env, kind_name(argument.kind)),
                           from_bool(env, argument.optional), from_bool(env, argument.fallback.has_value())};
    return from_list(env, row, itself);
  });
  const auto kind = [](napi_env env, const c10::Argument& result) {
    return from_string(env, kind_name(kind_of(result.real_type())));
  };
  const napi_value both[]{arguments, from_list(env, op->handle.schema().returns(), kind)};
  return from_list(env, both, itself);
}

/// schemas() → every operator's schema as text, from which the typed operators are generated.
napi_value schemas(napi_env env) {
  auto& dispatcher = c10::Dispatcher::singleton();
  std::vector<std::string> texts;
  for (const auto& name : dispatcher.getAllOpNames())
    if (const auto op = dispatcher.findSchema(name)) texts.push_back(c10::toString(op->schema()));
  return from_list(env, texts, from_string);
}

}  // namespace

void register_dispatch(Exports& exports) {
  define(exports, "call", call);
  define<find>(exports, "findOperator");
  define<schema_of>(exports, "operatorSchema");
  define<schemas>(exports, "schemas");
}

}  // namespace rfdetr
