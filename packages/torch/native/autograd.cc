// Autograd: backward, gradients of given inputs, hooks, and graph nodes whose backward is a JavaScript function.
#include "env.h"
#include "js_function.h"

#include <ATen/record_function.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/variable.h>

namespace rfdetr {

namespace {

using torch::autograd::variable_list;

/// Runs an autograd pass that JavaScript asked for. Rethrows the exception of a gradient function as it was thrown.
template <class Pass>
void run_pass_for_js(napi_env env, const variable_list& roots, Pass&& pass) {
  try {
    run_pass(roots, pass);
  } catch (...) {
    Env& state = env_of(env);
    if (!state.pending_exception) throw;
    napi_value holder, exception;
    napi_get_reference_value(env, state.pending_exception, &holder);
    napi_get_named_property(env, holder, "thrown", &exception);
    napi_delete_reference(env, state.pending_exception);
    state.pending_exception = nullptr;
    napi_throw(env, exception);
    throw JsExceptionPending{};
  }
  account_memory(env);
}

variable_list optional_list(napi_env env, napi_value value, size_t length) {
  variable_list list(length);
  if (is_nullish(env, value)) return list;
  for (uint32_t i = 0; i < length; ++i) {
    napi_value element;
    check(env, napi_get_element(env, value, i, &element));
    if (!is_nullish(env, element)) list[i] = to_tensor(env, element);
  }
  return list;
}

/// backward(roots, gradients | null, retainGraph, createGraph)
void backward(napi_env env, const Args<4>& args) {
  const auto roots = to_tensor_list(env, args[0]);
  RECORD_FUNCTION("autograd::engine::backward", c10::ArrayRef<const c10::IValue>{});
  const auto root_gradients = optional_list(env, args[1], roots.size());
  const bool retain = to_bool(env, args[2], "retainGraph"), create = to_bool(env, args[3], "createGraph");
  run_pass_for_js(env, roots, [&] { torch::autograd::backward(roots, root_gradients, retain, create); });
}

/// gradients(outputs, inputs, outputGradients | null, retainGraph, createGraph, allowUnused) → handles, null where
/// unused
napi_value gradients(napi_env env, const Args<6>& args) {
  const auto outputs = to_tensor_list(env, args[0]);
  RECORD_FUNCTION("autograd::engine::gradients", c10::ArrayRef<const c10::IValue>{});
  const auto inputs = to_tensor_list(env, args[1]);
  const auto output_gradients = optional_list(env, args[2], outputs.size());
  const bool retain = to_bool(env, args[3], "retainGraph"), create = to_bool(env, args[4], "createGraph");
  const bool unused = to_bool(env, args[5], "allowUnused");
  variable_list result;
  run_pass_for_js(env, outputs,
                  [&] { result = torch::autograd::grad(outputs, inputs, output_gradients, retain, create, unused); });
  return from_tensor_list(env, result);
}

napi_value set_grad_enabled(napi_env env, const Args<1>& args) {
  const bool before = at::GradMode::is_enabled();
  at::GradMode::set_enabled(to_bool(env, args[0], "enabled"));
  return from_bool(env, before);
}

napi_value is_grad_enabled(napi_env env) { return from_bool(env, at::GradMode::is_enabled()); }

napi_value requires_grad(napi_env env, const Args<1>& args) {
  return from_bool(env, to_tensor(env, args[0]).requires_grad());
}

void set_requires_grad(napi_env env, const Args<2>& args) {
  to_tensor(env, args[0]).set_requires_grad(to_bool(env, args[1], "requiresGrad"));
}

napi_value is_leaf(napi_env env, const Args<1>& args) { return from_bool(env, to_tensor(env, args[0]).is_leaf()); }

napi_value grad(napi_env env, const Args<1>& args) { return from_tensor(env, to_tensor(env, args[0]).grad()); }

void set_grad(napi_env env, const Args<2>& args) {
  at::Tensor gradient;
  if (!is_nullish(env, args[1])) gradient = to_tensor(env, args[1]);
  to_tensor(env, args[0]).mutable_grad() = std::move(gradient);
}

/// registerHook(tensor, fn) → id. `fn(gradient)` may return the handle of another gradient, which replaces it.
napi_value register_hook(napi_env env, const Args<2>& args) {
  const at::Tensor tensor = to_tensor(env, args[0]);
  const auto slot = std::make_shared<std::shared_ptr<JsFunction>>(std::make_shared<JsFunction>(env, args[1]));
  // The hook lives with the graph. A reference to the tensor would keep its elements until the hook is removed.
  tensor.register_hook([slot](const at::Tensor& gradient) -> at::Tensor {
    at::Tensor replaced;
    const std::shared_ptr<JsFunction> function = *slot;
    // A node with several results also hears of those that the loss did not use.
    if (!function || !gradient.defined()) return replaced;
    function->call({gradient}, [&](napi_value result) {
      if (!is_nullish(function->env(), result)) replaced = to_tensor(function->env(), result);
    });
    return replaced;
  });
  Env& state = env_of(env);
  state.hooks[state.next_hook] = [slot] { slot->reset(); };
  return from_int(env, state.next_hook++);
}

void remove_hook(napi_env env, const Args<1>& args) {
  Env& state = env_of(env);
  const auto found = state.hooks.find(to_int(env, args[0], "hook"));
  if (found != state.hooks.end()) {
    found->second();
    state.hooks.erase(found);
  }
}

/// A node of the graph whose backward is a JavaScript function of the output gradients.
struct JsNode : torch::autograd::Node {
  std::shared_ptr<JsFunction> function;

  variable_list apply(variable_list&& output_gradients) override {
    if (!function)
      throw std::runtime_error(
          "Expected a graph that still holds its functions but an earlier backward freed them: pass retainGraph to it");
    // A backward inside of the function may free those of this graph.
    const std::shared_ptr<JsFunction> held = function;
    variable_list input_gradients;
    held->call(output_gradients,
               [&](napi_value result) { input_gradients = optional_list(held->env(), result, num_outputs()); });
    return input_gradients;
  }
  void release_variables() override { function.reset(); }
  std::string name() const override { return "JavaScriptBackward"; }
};

/// Graph nodes are held by shared pointers in libtorch 2.11 and by intrusive ones in 2.15; both work here.
using NodePointer = std::remove_cv_t<decltype(torch::autograd::Edge::function)>;
template <class Pointer>
Pointer adopt(torch::autograd::Node* node) {
  if constexpr (std::is_constructible_v<Pointer, torch::autograd::Node*>)
    return Pointer(node);
  else
    return Pointer::unsafe_steal_from_new(node);
}

/// graphNode(inputs, outputs, fn) → the outputs without their own graph, as results of one node on `inputs`. In
/// backward, `fn(...outputGradients)` returns one gradient handle or null for each input. The basis of checkpointing.
napi_value graph_node(napi_env env, const Args<3>& args) {
  const auto inputs = to_tensor_list(env, args[0]);
  auto outputs = to_tensor_list(env, args[1]);
  auto* node = new JsNode();
  const auto holder = adopt<NodePointer>(node);
  node->function = std::make_shared<JsFunction>(env, args[2]);
  node->set_next_edges(torch::autograd::collect_next_edges(inputs));
  std::vector<at::Tensor> joined;
  for (const auto& output : outputs) {
    at::Tensor fresh = output.detach();
    if (at::isFloatingType(fresh.scalar_type()) && at::GradMode::is_enabled())
      torch::autograd::create_gradient_edge(fresh, holder);
    joined.push_back(std::move(fresh));
  }
  return from_tensor_list(env, joined);
}

}  // namespace

void register_autograd(Exports& exports) {
  define<backward>(exports, "backward");
  define<gradients>(exports, "gradients");
  define<set_grad_enabled>(exports, "setGradEnabled");
  define<is_grad_enabled>(exports, "isGradEnabled");
  define<requires_grad>(exports, "requiresGrad");
  define<set_requires_grad>(exports, "setRequiresGrad");
  define<is_leaf>(exports, "isLeaf");
  define<grad>(exports, "grad");
  define<set_grad>(exports, "setGrad");
  define<register_hook>(exports, "registerHook");
  define<remove_hook>(exports, "removeHook");
  define<graph_node>(exports, "graphNode");
}

}  // namespace rfdetr
