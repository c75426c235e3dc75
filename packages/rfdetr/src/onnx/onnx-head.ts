// Reads what an ONNX file says of itself, without loading it.
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { CheckpointError } from "../support/errors.js";
import { reasonOf } from "../support/files/system-error.js";
import { type ExportMetadata, parseMetadata } from "./metadata.js";
import { type ModelFile, readModelFile } from "./model-file.js";

/** @throws Error if the file is not there, or is not ONNX */
export function readHead(path: string): ModelFile {
  const file = openSync(path, "r");
  try {
    return readModelFile({
      length: fstatSync(file).size,
      slice(from, to) {
        const bytes = new Uint8Array(to - from);
        readSync(file, bytes, 0, bytes.length, from);
        return bytes;
      },
    });
  } finally {
    closeSync(file);
  }
}

/**
 * The metadata of an exported file; null for one of another program.
 * @throws CheckpointError if the file is not ONNX, has not the outputs of a detector, or if its metadata are damaged
 */
export function describeHead(path: string): ExportMetadata | null {
  try {
    const { outputs, metadata } = readHead(path);
    for (const name of ["dets", "labels"])
      if (!outputs.includes(name))
        throw new Error("Expected outputs of the names dets and labels but the file has others");
    return parseMetadata(metadata);
  } catch (cause) {
    throw unusable(path, cause);
  }
}

/** The error for a file that is no exported detector. */
export function unusable(path: string, cause: unknown): CheckpointError {
  return new CheckpointError(`Expected an exported detector in ${path} but it cannot be used: ${reasonOf(cause)}`, {
    cause,
  });
}
