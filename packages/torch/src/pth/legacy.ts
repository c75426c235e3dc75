// The format of torch before 1.6: five pickles (a magic number, a version, the byte order, the content, the keys of the
// storages), then each storage as the number of its elements and their bytes.
import { fstatSync, readSync } from "node:fs";
import { dtypes } from "../dtype.js";
import { readFully, shown } from "../files.js";
import { PthError } from "./error.js";
import { storageDtype } from "./storage-types.js";
import { unpickleAt } from "./unpickle.js";
import type { ZipEntry } from "./zip.js";

const magicNumber = 0x1950a86a20f9469cfc6cn;
/** Most bytes that the pickles may have; those of real checkpoints are small beside their storages. */
const maxPickles = 64 << 20;

/**
 * Reads the content of a checkpoint, and where each of its storages is: entries named `data/KEY`.
 * @throws PthError when the file is not a checkpoint, is cut off, or places a storage outside of itself;
 * UnsafePickleError
 */
export function readLegacy(file: number, path: string): { content: unknown; entries: Map<string, ZipEntry> } {
  const { size } = fstatSync(file);
  // A pickle of protocol 2 begins with this byte.
  const first = Buffer.alloc(2);
  readSync(file, first, 0, 2, 0);
  if (first[0] !== 0x80) throw new PthError(path, "is neither a zip archive nor of the format before torch 1.6");
  const head = Buffer.alloc(Math.min(size, maxPickles));
  readFully(file, head, 0);
  let at = 0;
  const next = () => {
    const read = unpickleAt(head, path, at);
    at = read.end;
    return read;
  };
  if (next().value !== magicNumber) throw new PthError(path, "has no magic number of torch");
  const version = next().value;
  if (version !== 1001)
    throw new PthError(
      path,
      `has version ${typeof version === "number" ? version : "?"} of the format before torch 1.6; only 1001 is known`,
    );
  const system = next().value;
  if (system instanceof Map && system.get("little_endian") === false)
    throw new PthError(path, "was written on a big-endian machine");
  const { value: content, storages } = next();
  const keys = next().value;
  if (!Array.isArray(keys)) throw new PthError(path, "has no list of storages");
  const entries = new Map<string, ZipEntry>();
  for (const key of keys) {
    if (typeof key !== "string") throw new PthError(path, "has a storage whose key is not a text");
    const storage = storages.get(key);
    const dtype = storage === undefined ? undefined : storageDtype(storage.type);
    if (dtype === undefined || at + 8 > size)
      throw new PthError(path, `is cut off, or does not declare its storage ${shown(key)}`);
    const count = Buffer.alloc(8);
    readSync(file, count, 0, 8, at);
    const bytes = Number(count.readBigInt64LE()) * dtypes[dtype].bytes;
    at += 8;
    if (!(bytes >= 0 && at + bytes <= size))
      throw new PthError(path, `places its storage ${shown(key)} outside of itself`);
    entries.set(`data/${key}`, { offset: at, size: bytes });
    at += bytes;
  }
  return { content, entries };
}
