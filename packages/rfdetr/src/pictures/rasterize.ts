// Figures as pixels, for places that show no SVG. Machines without fonts draw them with letters too.
import { readFile } from "node:fs/promises";
import type { Figure } from "../charts/svg.js";
import { sharp } from "../data/images/sharp.js";
import { lettering, strokes } from "./drawing/lettering.js";

/** Pixels of the picture for one of the figure. */
const scale = 2;

/**
 * A figure as it looks on a light page.
 * @param format `jpeg` or `png`
 */
export const rasterize = ({ svg }: Figure, format: "jpeg" | "png"): Promise<Buffer> => rasterizeSvg(svg, format);

async function rasterizeSvg(figure: string, format: "jpeg" | "png"): Promise<Buffer> {
  const svg = await withOwnLetters(figure);
  const pixels = sharp(Buffer.from(svg), { density: 72 * scale }).flatten({ background: "#ffffff" });
  return (format === "jpeg" ? pixels.jpeg({ quality: 90, chromaSubsampling: "4:4:4" }) : pixels.png()).toBuffer();
}

/**
 * A file of a folder of pictures as it is, or rasterised where it is an SVG.
 * @returns an encoded picture and its size in pixels
 */
export async function pictureFile(path: string): Promise<{ data: Buffer; info: { width: number; height: number } }> {
  const content = await readFile(path);
  const data = path.endsWith(".svg") ? await rasterizeSvg(content.toString(), "png") : content;
  const { width, height } = await sharp(data).metadata();
  return { data, info: { width, height } };
}

/** Puts the letters of pictures in the place of text elements, which need fonts. */
async function withOwnLetters(svg: string): Promise<string> {
  const elements = [...svg.matchAll(/<text ([^>]*)>([^<]*)<\/text>/g)];
  const drawn = await Promise.all(elements.map(([, attributes, content]) => drawnText(attributes, plain(content))));
  let at = 0;
  return svg.replace(/<text [^>]*>[^<]*<\/text>/g, () => drawn[at++]);
}

async function drawnText(attributes: string, content: string): Promise<string> {
  const value = (name: string): string | undefined => new RegExp(`(?:^| )${name}="([^"]*)"`).exec(attributes)?.[1];
  const number = (name: string): number => Number(value(name) ?? 0);
  const size = number("font-size");
  const letters = (await lettering(content)) ?? strokes(content);
  const width = letters.width * size;
  const anchor = value("text-anchor");
  const x = number("x") - (anchor === "middle" ? width / 2 : anchor === "end" ? width : 0);
  const y = number("y") + (value("dy") === undefined ? 0 : 0.34 * size);
  const text = letters.svg(x, y, size, value("fill") ?? "#000000");
  const turn = value("transform");
  return turn === undefined ? text : `<g transform="${turn}">${text}</g>`;
}

const entities: Readonly<Record<string, string>> = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"' };
const plain = (content: string): string => content.replace(/&(?:amp|lt|gt|quot);/g, (entity) => entities[entity]);
