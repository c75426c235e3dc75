// The outline of an object as annotations state it.
import type { Mask } from "./mask.js";

/**
 * Polygons, each `x, y, x, y, …` in pixels of the annotated size, or a mask at that size. The object is all that lies
 * in any of the polygons.
 */
export type Outline = { polygons: Float64Array[] } | { mask: Mask };
