// @ts-check
// The label of a box on an image: text on the colour of its class, where it covers the least of the others.
import { s } from "./dom.js";

/** @import { LabelPlaces } from "./label-places.js" */

const font = "600 100px system-ui, sans-serif";
/** @type {CanvasRenderingContext2D | null} */
let ruler = null;

/** The width of a text in ems. @param {string} text */
function widthOf(text) {
  ruler ??= document.createElement("canvas").getContext("2d");
  if (ruler === null) return 0.6 * text.length;
  ruler.font = font;
  return ruler.measureText(text).width / 100;
}

export class Tag {
  #ground;
  #text;

  /**
   * @param {string} text
   * @param {{size: number, color: string, ink: string, limit: number}} look sizes in pixels of the image; `limit` is
   * the width of the image
   */
  constructor(text, { size, color, ink, limit }) {
    const ems = widthOf(text) + 0.5;
    // A long name gets smaller letters before it leaves the picture.
    this.size = Math.min(size, limit / ems);
    this.width = ems * this.size;
    this.height = 1.3 * this.size;
    this.#ground = s("rect", { width: this.width, height: this.height, rx: 0.15 * this.size, fill: color });
    this.#text = s("text", { class: "label", "font-size": this.size, fill: ink }, text);
    this.element = s("g", { class: "tag", "data-text": text }, this.#ground, this.#text);
  }

  /** Puts it beside its box. @param {LabelPlaces} places @param {number[]} corners */
  place(places, [left, top, right, bottom]) {
    const at = places.place({ left, top, right, bottom }, this.width, this.height);
    this.#ground.setAttribute("x", String(at.left));
    this.#ground.setAttribute("y", String(at.top));
    this.#text.setAttribute("x", String(at.left + 0.25 * this.size));
    this.#text.setAttribute("y", String(at.bottom - 0.36 * this.size));
  }
}
