// Operators of libtorch by number: their schemas, and JavaScript values as their arguments and results.
#pragma once
#include "env.h"

#include <ATen/core/dispatch/Dispatcher.h>

namespace rfdetr {

/// Types of arguments and results that have a JavaScript form.
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

Kind kind_of(const c10::TypePtr& type);
const char* kind_name(Kind kind);

struct Argument {
  std::string name;
  Kind kind;
  bool optional;
  /// Length of a list of fixed size such as `int[2] stride`, which may be given as a single number; otherwise 0.
  int32_t fixed_length;
  std::optional<c10::IValue> fallback;
};

struct Operator {
  c10::OperatorHandle handle;
  std::string name;
  std::vector<Argument> arguments;
};

/// The number of an operator, the same for all threads; −1 when libtorch has no such operator.
int32_t find_operator(const std::string& name, const std::string& overload);
/// The operator with this number; null when there is none. Takes no lock.
const Operator* operator_of(int64_t number);

c10::IValue to_ivalue(napi_env env, const Argument& argument, napi_value value);
napi_value from_ivalue(napi_env env, const c10::IValue& value);
/// The arguments of a call on one line, for error messages: dtypes and shapes of tensors, other values as text.
std::string describe_arguments(napi_env env, const Operator& op, napi_value* values, size_t count);

}  // namespace rfdetr
