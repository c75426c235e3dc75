// Colours that tell classes apart: twenty chosen by hand, then hues that are a golden angle apart.

const PALETTE = [
  "#ff3b30",
  "#0a84ff",
  "#30d158",
  "#ffd60a",
  "#bf5af2",
  "#ff9f0a",
  "#00c7be",
  "#ff2d92",
  "#a2e61a",
  "#5e5ce6",
  "#ff8a80",
  "#40c8ff",
  "#b8860b",
  "#d5a6ff",
  "#008060",
  "#c2185b",
  "#ffe9a8",
  "#8d6e63",
  "#9fb3ff",
  "#e0f2e9",
] as const;

/** Colour of a class as #rrggbb; a class always has the same colour. */
export function classColor(classId: number): string {
  const index = Math.abs(Math.trunc(classId));
  if (index < PALETTE.length) return PALETTE[index];
  const step = index - PALETTE.length;
  const hue = (step * 137.508) % 360;
  const lightness = [0.58, 0.42, 0.72][step % 3];
  return hslToHex(hue, 0.85, lightness);
}

/** Black or white, whichever stands out more on a colour given as #rrggbb (WCAG relative luminance). */
export function readableOn(color: string): "#000000" | "#ffffff" {
  const channel = (at: number) => {
    const value = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  const luminance = 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
  return (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) ? "#000000" : "#ffffff";
}

function hslToHex(hue: number, saturation: number, lightness: number): string {
  const chroma = saturation * Math.min(lightness, 1 - lightness);
  const channel = (n: number) => {
    const k = (n + hue / 30) % 12;
    const value = lightness - chroma * Math.max(-1, Math.min(k - 3, 9 - k, 1));
    return Math.round(value * 255)
      .toString(16)
      .padStart(2, "0");
  };
  return `#${channel(0)}${channel(8)}${channel(4)}`;
}
