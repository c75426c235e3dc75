// A part of a picture.
import type { Size } from "./image-header.js";

/** A rectangle of pixels. */
export interface Region extends Size {
  left: number;
  top: number;
}
