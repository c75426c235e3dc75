// The entries of a well-formed COCO file, for what writes such files.
import type { CocoRuns } from "../../masks/coco-runs.js";

export interface CocoCategory {
  id: number;
  name: string;
  supercategory?: string;
}
export interface CocoImage {
  id: number;
  file_name: string;
  width: number;
  height: number;
}
export interface CocoAnnotation {
  id: number;
  image_id: number;
  category_id: number;
  /** In pixels. */
  bbox: [x: number, y: number, width: number, height: number];
  area?: number;
  iscrowd?: number;
  segmentation?: CocoRuns | number[][];
}
export interface CocoContent {
  images: CocoImage[];
  annotations: CocoAnnotation[];
  categories: CocoCategory[];
  info?: unknown;
  licenses?: unknown;
}
