// Element types, and which typed array carries each.

export type DType = "float32" | "float64" | "float16" | "bfloat16" | "int64" | "int32" | "int16" | "int8" | "uint8" | "bool";

export type TensorData = Float32Array | Float64Array | BigInt64Array | Int32Array | Int16Array | Int8Array | Uint8Array | Uint16Array;

interface DTypeInfo {
  bytes: number;
  floating: boolean;
  /** Carries the raw elements; half types travel as their 16-bit patterns. */
  array: {
    new (length: number): TensorData;
    new (buffer: ArrayBufferLike, offset?: number, length?: number): TensorData;
    BYTES_PER_ELEMENT: number;
  };
}

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

export function isDType(name: string): name is DType {
  return Object.hasOwn(dtypes, name);
}
