// Checkpoints of torch (`.pth`, `.pt`, `.ckpt`): a pickle and the bytes of every storage, in a zip archive or, before
// torch 1.6, one after the other.
import { closeSync, readSync } from "node:fs";
import { tensor } from "../create.js";
import { dtypes } from "../dtype.js";
import { openToRead, readFully } from "../files.js";
import * as ops from "../ops.generated.js";
import { keep, scope } from "../scope.js";
import type { Tensor } from "../tensor.js";
import { PthError } from "./error.js";
import { readLegacy } from "./legacy.js";
import type { PickledTensor } from "./pickled.js";
import { storageDtype } from "./storage-types.js";
import { unpickle } from "./unpickle.js";
import { readZip, type ZipEntry } from "./zip.js";

/** Most bytes of a pickle. The tensors are beside it: those of real checkpoints have less than 1 MB. */
const maxPickle = 64 << 20;
/** A tensor that repeats its elements (strides of 0) has at most this many, or as many as its storage. */
const maxRepeated = 1 << 16;

/**
 * A checkpoint that torch.save wrote. Its tensors are read one by one, on request. No code of the file is run.
 *
 * @example
 * const file = new PthFile("model.pth");
 * const state = (file.content as Map<string, Map<string, PickledTensor>>).get("model");
 * const tensors = new Map<string, Tensor>();
 * for (const [name, stored] of state ?? []) tensors.set(name, file.read(name, stored));
 * file.close();
 */
export class PthFile {
  /**
   * The pickle: dicts are Maps, tuples and lists arrays, tensors {@link PickledTensor}s, objects
   * `PickledObject`s.
   */
  readonly content: unknown;
  readonly #file: number;
  readonly #entries: Map<string, ZipEntry>;
  readonly #prefix: string;

  /** Opens a file and reads its pickle. @throws PthError, UnsafePickleError; an error of the file system */
  constructor(readonly path: string) {
    this.#file = openToRead(path, (found) => new PthError(path, found)).file;
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
      if (pickle === undefined) throw new PthError(path, "has no data.pkl");
      const [name, { offset, size }] = pickle;
      if (size > maxPickle) throw new PthError(path, `has a pickle of ${size} bytes`);
      this.#prefix = name.slice(0, -"data.pkl".length);
      const bytes = Buffer.alloc(size);
      readFully(this.#file, bytes, offset);
      this.content = unpickle(bytes, path);
    } catch (error) {
      closeSync(this.#file);
      throw error;
    }
  }

  /**
   * Reads one tensor into memory of its own, contiguous. It lives until disposed of.
   * @param name of the tensor, for errors
   * @throws PthError when it does not fit its storage
   */
  read(name: string, { storage, offset, shape, strides }: PickledTensor): Tensor {
    const dtype = storageDtype(storage.type);
    if (dtype === undefined) throw new PthError(this.path, `stores ${name} as ${storage.type}`);
    const entry = this.#entries.get(`${this.#prefix}data/${storage.key}`);
    const { bytes } = dtypes[dtype];
    if (entry === undefined || storage.elements < 0 || storage.elements * bytes !== entry.size)
      throw new PthError(
        this.path,
        `gives ${name} a storage of ${storage.elements} elements that the archive does not have`,
      );
    const numel = shape.reduce((a, b) => a * b, 1);
    const last = shape.reduce((sum, size, i) => sum + (size - 1) * (strides[i] ?? 0), offset);
    if (
      shape.length !== strides.length ||
      shape.some((n) => n < 0) ||
      strides.some((n) => n < 0) ||
      offset < 0 ||
      (numel > 0 && last >= storage.elements) ||
      numel > Math.max(storage.elements, maxRepeated)
    )
      throw new PthError(
        this.path,
        `places ${name} of shape ${shape.join("×")} outside of its storage of ${storage.elements} elements`,
      );
    // Only the part of the storage that the tensor covers is read.
    const length = numel === 0 ? 0 : last - offset + 1;
    const data = new dtypes[dtype].array(length);
    if (readFully(this.#file, Buffer.from(data.buffer), entry.offset + offset * bytes) < data.byteLength)
      throw new PthError(this.path, `ends inside ${name}`);
    return keep(
      scope(() => {
        const stored = tensor(data, { shape: [length], dtype: dtype === "bool" ? "uint8" : dtype });
        const view = ops.asStrided(stored, shape, strides);
        if (dtype === "bool") return ops._toCopy(view, { dtype });
        return ops.clone(view, { memoryFormat: "contiguous_format" });
      }),
    );
  }

  /** Closes the file; tensors that were read stay. */
  close(): void {
    closeSync(this.#file);
  }
}
