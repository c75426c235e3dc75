// A colour for each class: the same in every picture, in the report and on the live page.

/**
 * For up to eight classes: far apart in hue and lightness, for readers with colour blindness too, and neither too
 * light for a white page nor too dark for a black one. The first of them are farthest apart: their order makes the
 * least distance of the first three largest, then that of the first two, four, five and so on.
 */
const distinct = ["#124efb", "#80a924", "#bb1664", "#eb6f9a", "#5f69a8", "#a361fb", "#59a9d3", "#9f702f"] as const;

/** Degrees between neighbouring hues: the golden angle, which never comes back to a hue. */
const goldenAngle = 137.508;
const lightnesses = [0.62, 0.52, 0.68] as const;

/**
 * A colour for each class, as `#rrggbb`, by its place in the list: give all classes of a detector or a data set, so
 * that a class has one colour everywhere. The first classes differ most. Different names have different colours; those
 * of up to eight classes can be told apart with colour blindness.
 * @example
 * import { classColors } from "rfdetr/predict";
 * const [fox, owl] = classColors(["fox", "owl"]);
 */
export function classColors(names: readonly string[]): string[] {
  const places = new Map([...new Set(names)].map((name, place) => [name, place]));
  return names.map((name) => paletteColor(places.get(name) as number));
}

/** The colour at a place of the palette, which has no end. For classes that have a number only. */
export function paletteColor(place: number): string {
  const index = Math.abs(Math.trunc(place));
  if (index < distinct.length) return distinct[index];
  return fromOklch(lightnesses[index % lightnesses.length], 0.2, (index * goldenAngle) % 360);
}

/** Black or white, whichever stands out more on a colour given as `#rrggbb`: at least 4.5 to 1. */
export function readableOn(color: string): "#000000" | "#ffffff" {
  const light = luminance(color);
  return (light + 0.05) / 0.05 > 1.05 / (light + 0.05) ? "#000000" : "#ffffff";
}

/** Relative luminance of `#rrggbb`, 0 to 1 (WCAG 2). @internal for tests */
export function luminance(color: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => linear(Number.parseInt(color.slice(at, at + 2), 16) / 255));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** A channel of sRGB as light, both 0 to 1. @internal for tests */
export const linear = (value: number): number => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
const encoded = (light: number): number => (light <= 0.0031308 ? light * 12.92 : 1.055 * light ** (1 / 2.4) - 0.055);

/** A colour of OKLCH (Ottosson 2020) as `#rrggbb`, with as much of the chroma as sRGB can show. @param hue degrees */
function fromOklch(lightness: number, chroma: number, hue: number): string {
  const angle = (hue * Math.PI) / 180;
  for (let c = chroma; ; c -= 0.01) {
    const [a, b] = [c * Math.cos(angle), c * Math.sin(angle)];
    const long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
    const medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
    const short = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
    const channels = [
      4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
      -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
      -0.0041960863 * long - 0.7034186147 * medium + 1.707614701 * short,
    ];
    if (c > 0 && channels.some((light) => light < 0 || light > 1)) continue;
    return `#${channels.map((light) => hex(encoded(Math.min(1, Math.max(0, light))))).join("")}`;
  }
}

const hex = (value: number): string =>
  Math.round(value * 255)
    .toString(16)
    .padStart(2, "0");
