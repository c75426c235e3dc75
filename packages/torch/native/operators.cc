// The operators of libtorch that were called so far.
#include "operators.h"

#include "stable_table.h"

#include <ATen/core/jit_type.h>

#include <memory>

namespace rfdetr {

namespace {

/// Operators found so far, shared by all threads. libtorch has about 3,000.
StableTable<Operator, 1 << 14> operators;

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

}  // namespace

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

int32_t find_operator(const std::string& name, const std::string& overload) {
  return operators.find_or_add(name + "." + overload, [&] { return load_operator(name, overload).release(); });
}

const Operator* operator_of(int64_t number) { return operators.get(number); }

}  // namespace rfdetr
