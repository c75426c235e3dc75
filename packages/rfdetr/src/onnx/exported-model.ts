// What is known of an exported file before it runs: from its metadata, or from the shapes of its input and outputs
// where another program wrote it. No import of Node.
import { type ExportMetadata, parseMetadata, preprocessing } from "./metadata.js";
import type { ModelFile } from "./model-file.js";

/** Whether weights are an exported file, by their name. */
export const isExported = (path: string): boolean => path.toLowerCase().endsWith(".onnx");

/** The shape of a tensor: numbers, and names or undefined where any length will do. */
export type Shape = readonly (number | string | undefined)[];

/** An exported file as a detector. */
export interface ExportedModel extends Omit<ExportMetadata, "classNames" | "version" | "licence"> {
  /** By class index; null where neither file nor caller names the classes. */
  classNames: readonly string[] | null;
  /** Images that go through the model together; null for any number. */
  batch: number | null;
}

/** Detections of files of the Python package, which has this number for every variant. */
const pythonSelect = 300;

/**
 * Describes a file. Files of the Python package have no metadata: their size comes from the input's shape, and their
 * classes are numbered unless `classNames` names them.
 * @param input shape of the file's `input`
 * @throws Error if the file is none of a detector, or lacks what must be known
 */
export function describeExport(
  file: ModelFile,
  input: Shape | undefined,
  classNames: readonly string[] | null = null,
): ExportedModel {
  if (input === undefined || input.length !== 4)
    throw new Error("Expected an input of the name input with four dimensions but the file has none");
  const batch = typeof input[0] === "number" && input[0] > 0 ? input[0] : null;
  const metadata = parseMetadata(file.metadata);
  const [, , height, width] = input;
  if (metadata !== null) {
    const [own, other] = [metadata.resolution, [height, width]];
    if (other.some((side, i) => typeof side === "number" && side > 0 && side !== own[i]))
      throw new Error(
        `Expected images of ${own.join(" × ")} as in the metadata but the input has ${other.join(" × ")}`,
      );
    return { ...metadata, classNames: classNames ?? metadata.classNames, batch };
  }
  if (typeof height !== "number" || typeof width !== "number" || height <= 0 || width <= 0)
    throw new Error("Expected the size of images in the metadata or in the shape of the input but neither has it");
  return {
    variant: "rf-detr",
    resolution: [height, width],
    classNames,
    preprocessing,
    numSelect: pythonSelect,
    masks: null,
    precision: "fp32",
    trainingPrecision: null,
    thresholds: null,
    AP50: null,
    proof: null,
    goldens: null,
    batch,
  };
}

/**
 * The names of the classes, numbered where nobody named them.
 * @param rows class logits of a query, the last of them for no class; null where the file leaves them open
 * @throws Error if there are fewer or more names than classes: each would name another class than its own
 */
export function namesOf({ classNames }: Pick<ExportedModel, "classNames">, rows: number | null): readonly string[] {
  if (classNames === null) return Array.from({ length: (rows ?? 1) - 1 }, (_, row) => `class ${row}`);
  // Files of other programs may use the last row as well.
  if (rows !== null && classNames.length !== rows && classNames.length !== rows - 1)
    throw new Error(`Expected a name for each of ${rows - 1} classes but received ${classNames.length}`);
  return classNames;
}
