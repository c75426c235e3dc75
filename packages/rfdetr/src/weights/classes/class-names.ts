// The names of the class rows of weights.

/** The name of a class that has none: `class 3`. */
const unnamed = (index: number): string => `class ${index}`;

/** Whether no class has a name of its own. */
export const areUnnamed = (names: readonly string[]): boolean => names.every((name, i) => name === unnamed(i));

/**
 * A name for every class; the last row of the heads is the background, unless the names reach it (COCO's 90 classes
 * with their ids, and models of rfdetr 1.4 trained on YOLO folders).
 */
export function nameAll(names: readonly string[], classes: number): string[] {
  return Array.from({ length: Math.max(names.length, classes) }, (_, i) => names[i] ?? unnamed(i));
}
