// Element types, and the typed array that holds each.

/** Element types of tensors, by PyTorch's names. */
export type DType =
  | "float32"
  | "float64"
  | "float16"
  | "bfloat16"
  | "int64"
  | "int32"
  | "int16"
  | "int8"
  | "uint8"
  | "bool";

/** Elements in JavaScript. A Uint16Array holds float16 or bfloat16 as bit patterns. */
export type TensorData =
  | Float32Array
  | Float64Array
  | BigInt64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint8Array
  | Uint16Array;

interface DTypeInfo {
  /** Of one element. */
  bytes: number;
  floating: boolean;
  /** Holds the raw elements; float16 and bfloat16 as their 16-bit patterns. */
  array: {
    new (length: number): TensorData;
    new (buffer: ArrayBufferLike, offset?: number, length?: number): TensorData;
    BYTES_PER_ELEMENT: number;
  };
}

/** The facts of every {@link DType}. */
export const dtypes: Readonly<Record<DType, DTypeInfo>> = {
  float32: { bytes: 4, floating: true, array: Float32Array },
  float64: { bytes: 8, floating: true, array: Float64Array },
  float16: { bytes: 2, floating: true, array: Uint16Array },
  bfloat16: { bytes: 2, floating: true, array: Uint16Array },
  int64: { bytes: 8, floating: false, array: BigInt64Array },
  int32: { bytes: 4, floating: false, array: Int32Array },
  int16: { bytes: 2, floating: false, array: Int16Array },
  int8: { bytes: 1, floating: false, array: Int8Array },
  uint8: { bytes: 1, floating: false, array: Uint8Array },
  bool: { bytes: 1, floating: false, array: Uint8Array },
};

/** Whether a string is the name of a {@link DType}. */
export function isDType(name: string): name is DType {
  return Object.hasOwn(dtypes, name);
}
