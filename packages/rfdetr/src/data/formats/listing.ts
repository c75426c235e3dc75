// A split as its files describe it: what the checks look at, and what becomes a dataset. Readers of every layout fill
// it. They throw nothing: what they cannot read becomes a problem.
import type { ImageHeader } from "../images/image-header.js";
import type { Split } from "./dataset.js";
import type { Segmentation } from "./segmentation.js";

/** Something that is wrong, or that should be known. */
export interface Problem {
  /** Name of a check of the table in `data/check/checks.ts`. */
  check: string;
  /** Path of the file at fault: the image, the label file or the annotation file. */
  file: string;
  /** Id of the image or annotation in the annotation file, or the line in a label file; null if of neither. */
  id: number | string | null;
  /** One sentence that says what is wrong, and where. */
  message: string;
}

/** An annotated object, with a box of four finite numbers. */
export interface ListedBox {
  /** Id of the annotation, or its line in the label file. */
  id: number | string | null;
  /** The annotation file or label file. */
  file: string;
  image: ListedImage;
  /** Index of the class, or −1 where training does not know it. */
  label: number;
  /** The category as stated, with its name if it has one. */
  category: string;
  /** Left, top, width and height in pixels of the annotated size. */
  box: [x: number, y: number, width: number, height: number];
  /** The box as stated, for messages; in YOLO datasets the whole line. */
  stated: string;
  /** Whether a YOLO label states a polygon, and no box. */
  polygon: boolean;
  /** Annotated area in square pixels; null if not stated. */
  area: number | null;
  /** A region of many objects. */
  crowd: boolean;
  /** Its outline, where outlines are read. */
  segmentation?: Segmentation;
  /** The annotation itself; null in YOLO datasets. */
  entry: Readonly<Record<string, unknown>> | null;
}

/** An image and what is annotated on it. */
export interface ListedImage {
  id: number | string;
  /** Name in the annotations, or path under the folder of images. */
  name: string;
  /** Path of the file, or where it should be. */
  file: string;
  /** Annotated size in pixels; null where none is stated. */
  size: { width: number; height: number } | null;
  boxes: ListedBox[];
  /** Number of annotations that mean this image, those that cannot be read included; 1 for a file that cannot. */
  annotations: number;
  /** What the file says of itself; null if it cannot be read. */
  header: ImageHeader | null;
  /** Why the file cannot be used: it is not there, its header cannot be read, or it does not decode. */
  fault: { kind: "missing" | "unreadable" | "undecodable"; reason: string } | null;
  /** The EXIF orientation that is applied when the file is decoded; 1 keeps the stored pixels. */
  orientation: number;
  /** The entry itself; null in YOLO datasets. */
  entry: Readonly<Record<string, unknown>> | null;
}

/** A class of a dataset. */
export interface ListedClass {
  name: string;
  /** Id of its category in the annotation file of the train split, or its number in data.yaml. */
  id: number | string;
}

/** One split of a dataset. */
export interface Listing {
  layout: "roboflow-coco" | "coco" | "yolo";
  split: Split;
  /** The annotation file, or the file that names the classes. */
  source: string;
  /** Folders that were searched for the images. */
  folders: readonly string[];
  images: ListedImage[];
  /** Number of annotations that the files state, those that cannot be read included. */
  annotations: number;
  problems: Problem[];
  /** Whether the outlines of the objects were read. */
  outlines: boolean;
  /** The annotation file without its images and annotations; null in YOLO datasets. */
  rest: Readonly<Record<string, unknown>> | null;
}

/** The frame that boxes refer to: the annotated size, or that of the file. */
export function frameOf({ size, header, orientation }: ListedImage): { width: number; height: number } {
  if (size !== null) return size;
  if (header === null) return { width: 0, height: 0 };
  return decodedSize(header, orientation);
}

/** The size of a file in pixels after it was turned. */
export function decodedSize(
  { width, height }: { width: number; height: number },
  orientation: number,
): { width: number; height: number } {
  return orientation >= 5 ? { width: height, height: width } : { width, height };
}
