// What images are normalised with. No import of Node or libtorch.

/** Mean of ImageNet's red, green and blue channel on the scale 0 to 1. Source: `rfdetr.detr: RFDETR.means`. */
export const imageMean = [0.485, 0.456, 0.406] as const;
/**
 * Standard deviation of ImageNet's red, green and blue channel on the scale 0 to 1. Source: `rfdetr.detr: RFDETR.stds`.
 */
export const imageDeviation = [0.229, 0.224, 0.225] as const;
