// Every name that a pickle may use. A constructor here builds a plain value; no code of the file is run.
import type { Machine } from "./machine.js";
import { isPickledTensor, PickledName, PickledObject, type PickledStorage, type PickledTensor } from "./pickled.js";
import { storageClasses } from "./storage-types.js";

/** A name that a pickle may call. */
export class Constructor {
  constructor(readonly build: (args: unknown[], machine: Machine) => unknown) {}
}

/** Names that stand for themselves: storage classes and dtypes. */
const plainNames = new Set([
  ...storageClasses,
  "torch.storage.UntypedStorage",
  ...["float16", "float32", "float64", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "bool", "strided"].map(
    (name) => `torch.${name}`,
  ),
]);

/** `_rebuild_tensor_v2(storage, offset, shape, strides, …)` */
function tensor([storage, offset, shape, strides]: unknown[], machine: Machine): PickledTensor {
  if (typeof storage !== "object" || storage === null || !("elements" in storage))
    machine.broken("a tensor without a storage");
  const integers = (value: unknown) => machine.list(value).map((element) => machine.integer(element));
  return {
    storage: storage as PickledStorage,
    offset: machine.integer(offset),
    shape: integers(shape),
    strides: integers(strides),
  };
}

/** `OrderedDict([[key, value], …])` */
function orderedDict([pairs]: unknown[], machine: Machine): Map<unknown, unknown> {
  const map = new Map<unknown, unknown>();
  for (const pair of pairs === undefined ? [] : machine.list(pairs)) {
    const [key, value] = machine.list(pair);
    map.set(key, value);
  }
  return map;
}

/** Texts and numbers only: the text of nested lists can be longer than any memory. */
const plainParts = (parts: unknown[], machine: Machine): string[] =>
  parts.map((part) => (typeof part === "number" ? String(part) : machine.text(part)));

const pathOf = (parts: unknown[], machine: Machine): string =>
  plainParts(parts, machine).join("/").replace(/^\/+/, "/");

const builders: Record<string, Constructor["build"]> = {
  "torch._utils._rebuild_tensor_v2": tensor,
  "torch._utils._rebuild_tensor": tensor,
  "torch._utils._rebuild_parameter": ([value], machine) =>
    isPickledTensor(value) ? value : machine.broken("a parameter without a tensor"),
  "torch.Size": ([sizes], machine) => machine.list(sizes).map((size) => machine.integer(size)),
  "torch.device": (parts, machine) => new PickledName(`torch.device:${plainParts(parts, machine).join(":")}`),
  "torch.serialization._get_layout": () => new PickledName("torch.strided"),
  "collections.OrderedDict": orderedDict,
  "collections.defaultdict": () => new Map(),
  "builtins.set": ([values], machine) => new Set(machine.list(values)),
  "__builtin__.set": ([values], machine) => new Set(machine.list(values)),
};
for (const name of ["argparse.Namespace", "types.SimpleNamespace"]) builders[name] = () => new PickledObject(name);
for (const module of ["pathlib", "pathlib._local"])
  for (const name of ["PosixPath", "WindowsPath", "PurePosixPath"]) builders[`${module}.${name}`] = pathOf;

const constructors = new Map(Object.entries(builders).map(([name, build]) => [name, new Constructor(build)]));

/** What a name stands for in a pickle; undefined where it is not allowed. */
export function lookUp(name: string): PickledName | Constructor | undefined {
  return plainNames.has(name) ? new PickledName(name) : constructors.get(name);
}
