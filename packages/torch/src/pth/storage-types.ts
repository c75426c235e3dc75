// Names of torch's storage classes.
import type { DType } from "../dtype.js";

const types: Record<string, DType> = {
  Float: "float32",
  Double: "float64",
  Half: "float16",
  BFloat16: "bfloat16",
  Long: "int64",
  Int: "int32",
  Short: "int16",
  Char: "int8",
  Byte: "uint8",
  Bool: "bool",
};

/** `torch.FloatStorage` → `float32`; undefined for others. */
export function storageDtype(className: string): DType | undefined {
  const name = /^torch\.(\w+)Storage$/.exec(className)?.[1];
  return name !== undefined && Object.hasOwn(types, name) ? types[name] : undefined;
}
