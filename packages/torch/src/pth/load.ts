// Checkpoints of torch (`.pth`, `.pt`, `.ckpt`): a pickle and the raw bytes of every storage, in a zip archive or, before torch 1.6, in a row.
import { closeSync, openSync, readSync } from "node:fs";
import { tensor } from "../create.js";
import { dtypes } from "../dtype.js";
import * as ops from "../ops.generated.js";
import { keep, scope } from "../scope.js";
import type { Tensor } from "../tensor.js";
import { CheckpointError } from "./error.js";
import { readLegacy } from "./legacy.js";
import type { PickledTensor } from "./pickled.js";
import { storageDtype } from "./storage-types.js";
import { unpickle } from "./unpickle.js";
import { readZip, type ZipEntry } from "./zip.js";

const maxPickle = 256 << 20;

/** A checkpoint whose tensors are read one by one, when asked for. */
export class PthFile {
  /** Plain data; tensors are {@link PickledTensor} descriptions. */
  readonly content: unknown;
  readonly #file: number;
  readonly #entries: Map<string, ZipEntry>;
  readonly #prefix: string;

  /** @throws CheckpointError, UnsafePickleError */
  constructor(readonly path: string) {
    this.#file = openSync(path, "r");
    try {
      const magic = Buffer.alloc(4);
      readSync(this.#file, magic, 0, 4, 0);
      if (magic.readUInt32LE() !== 0x04034b50) {
        const { content, entries } = readLegacy(this.#file, path);
        this.content = content;
        this.#entries = entries;
        this.#prefix = "";
        return;
      }
      this.#entries = readZip(this.#file, path);
      const pickle = [...this.#entries].find(([name]) => name.endsWith("/data.pkl") || name === "data.pkl");
      if (pickle === undefined) throw new CheckpointError(path, "has no data.pkl");
      const [name, { offset, size }] = pickle;
      if (size > maxPickle) throw new CheckpointError(path, `has a pickle of ${size} bytes`);
      this.#prefix = name.slice(0, -"data.pkl".length);
      const bytes = Buffer.alloc(size);
      readSync(this.#file, bytes, 0, size, offset);
      this.content = unpickle(bytes, path);
    } catch (error) {
      closeSync(this.#file);
      throw error;
    }
  }

  /** Reads one tensor, contiguous, into memory of its own; it lives until disposed. @throws CheckpointError when it does not fit its storage */
  read(name: string, { storage, offset, shape, strides }: PickledTensor): Tensor {
    const dtype = storageDtype(storage.type);
    if (dtype === undefined) throw new CheckpointError(this.path, `stores ${name} as ${storage.type}`);
    const entry = this.#entries.get(`${this.#prefix}data/${storage.key}`);
    const { bytes } = dtypes[dtype];
    if (entry === undefined || storage.elements < 0 || storage.elements * bytes !== entry.size)
      throw new CheckpointError(this.path, `gives ${name} a storage of ${storage.elements} elements that the archive does not have`);
    const numel = shape.reduce((a, b) => a * b, 1);
    const last = shape.reduce((sum, size, i) => sum + (size - 1) * strides[i], offset);
    if (
      shape.length !== strides.length ||
      shape.some((n) => n < 0) ||
      strides.some((n) => n < 0) ||
      offset < 0 ||
      (numel > 0 && last >= storage.elements) ||
      numel > Math.max(storage.elements, 1) * 4096
    )
      throw new CheckpointError(
        this.path,
        `places ${name} of shape ${shape.join("×")} outside of its storage of ${storage.elements} elements`,
      );
    // Only the part that the tensor reaches.
    const length = numel === 0 ? 0 : last - offset + 1;
    const data = new dtypes[dtype].array(length);
    const view = Buffer.from(data.buffer);
    for (let done = 0; done < view.length; ) {
      const count = readSync(this.#file, view, done, Math.min(view.length - done, 1 << 30), entry.offset + offset * bytes + done);
      if (count === 0) throw new CheckpointError(this.path, `ends inside ${name}`);
      done += count;
    }
    return keep(
      scope(() => {
        if (dtype === "bool")
          return ops._toCopy(ops.asStrided(tensor(data, { shape: [length], dtype: "uint8" }), shape, strides), { dtype: "bool" });
        return ops.clone(ops.asStrided(tensor(data, { shape: [length], dtype }), shape, strides), { memoryFormat: "contiguous_format" });
      }),
    );
  }

  close(): void {
    closeSync(this.#file);
  }
}
