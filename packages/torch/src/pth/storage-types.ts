// torch's storage classes, such as torch.FloatStorage, and the dtypes of their elements.
import type { DType } from "../dtype.js";

const dtypeOfClass: ReadonlyMap<string, DType> = new Map([
  ["torch.FloatStorage", "float32"],
  ["torch.DoubleStorage", "float64"],
  ["torch.HalfStorage", "float16"],
  ["torch.BFloat16Storage", "bfloat16"],
  ["torch.LongStorage", "int64"],
  ["torch.IntStorage", "int32"],
  ["torch.ShortStorage", "int16"],
  ["torch.CharStorage", "int8"],
  ["torch.ByteStorage", "uint8"],
  ["torch.BoolStorage", "bool"],
]);
const classOfDtype = new Map([...dtypeOfClass].map(([name, dtype]) => [dtype, name]));

export const storageClasses: readonly string[] = [...dtypeOfClass.keys()];

/** `torch.FloatStorage` → `float32`; undefined for other names. */
export function storageDtype(className: string): DType | undefined {
  return dtypeOfClass.get(className);
}

/** `float32` → `torch.FloatStorage`. */
export function storageClass(dtype: DType): string {
  return classOfDtype.get(dtype) as string;
}
