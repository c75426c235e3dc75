// @ts-check
// The picture with its masks and boxes.

import { LabelPlaces } from "./label-places.js";
import { maskLayer } from "./masks.js";

/** @typedef {import("rfdetr/browser").Detection} Detection */
/** @typedef {ReturnType<LabelPlaces["place"]>} Rectangle in pixels of the canvas */

const chipHeight = 20;
const font = '600 13px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif';

/** @param {Detection} detection */
const textOf = ({ className, score }) => `${className} ${score.toFixed(2)}`;

export class Stage {
  /** @type {ImageBitmap | null} */
  #picture = null;
  /** @type {readonly Detection[]} */
  #detections = [];
  /** @type {Detection | null} */
  #chosen = null;
  /** Of the classes. @type {readonly string[]} */
  colors = [];
  /** Of text on them. @type {readonly string[]} */
  inks = [];
  /** Reads masks, once it is loaded. @type {typeof import("rfdetr/browser").maskWindow | null} */
  maskWindow = null;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    new ResizeObserver(() => this.#draw()).observe(canvas);
  }

  /** @param {ImageBitmap} picture */
  showPicture(picture) {
    if (this.#picture !== picture) this.#picture?.close();
    this.#picture = picture;
    this.canvas.hidden = false;
    this.canvas.style.aspectRatio = `${picture.width} / ${picture.height}`;
  }

  /** @param {readonly Detection[]} detections */
  showDetections(detections) {
    this.#detections = detections;
    this.#chosen = null;
    this.#draw();
  }

  /** Shows one box alone. @param {Detection | null} detection */
  choose(detection) {
    this.#chosen = detection;
    this.#draw();
  }

  #draw() {
    const { canvas } = this;
    const picture = this.#picture;
    const context = canvas.getContext("2d");
    if (picture === null || context === null) return;
    const { clientWidth: width, clientHeight: height } = canvas;
    const density = devicePixelRatio;
    canvas.width = Math.round(width * density);
    canvas.height = Math.round(height * density);
    const scale = Math.min(width / picture.width, height / picture.height);
    const left = (width - picture.width * scale) / 2;
    const top = (height - picture.height * scale) / 2;
    context.setTransform(density, 0, 0, density, 0, 0);
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, left, top, picture.width * scale, picture.height * scale);
    this.#drawMasks(context, { left, top, width: picture.width * scale, height: picture.height * scale }, density);
    const boxes = this.#detections.map(({ box: [x1, y1, x2, y2] }) => ({
      left: x1 * scale + left,
      top: y1 * scale + top,
      right: x2 * scale + left,
      bottom: y2 * scale + top,
    }));
    context.font = font;
    const places = new LabelPlaces(width, height, boxes);
    const chips = this.#detections.map((detection, i) => {
      const chip = context.measureText(textOf(detection)).width + 12;
      return places.place(boxes[i], Math.min(chip, width), chipHeight);
    });
    // The best ones last, on top; no frame over a name.
    const drawn = [...this.#detections.entries()].reverse();
    for (const draw of [this.#frame, this.#name])
      for (const [i, detection] of drawn) {
        context.globalAlpha = this.#chosen === null || this.#chosen === detection ? 1 : 0.25;
        draw.call(this, context, detection, draw === this.#frame ? boxes[i] : chips[i]);
      }
    context.globalAlpha = 1;
  }

  /**
   * Of the chosen detection, or of all.
   * @param {CanvasRenderingContext2D} context
   * @param {{ left: number, top: number, width: number, height: number }} place of the picture
   * @param {number} density
   */
  #drawMasks(context, { left, top, width, height }, density) {
    if (this.maskWindow === null) return;
    const shown = this.#chosen === null ? this.#detections : [this.#chosen];
    const size = { width: Math.round(width * density), height: Math.round(height * density) };
    const layer = maskLayer(shown, this.colors, size, Math.max(1, Math.round(1.5 * density)), this.maskWindow);
    if (layer !== null) context.drawImage(layer, left, top, width, height);
  }

  /** @param {CanvasRenderingContext2D} context @param {Detection} detection @param {Rectangle} box */
  #frame(context, { classId }, { left: x, top: y, right, bottom }) {
    const [width, height] = [right - x, bottom - y];
    context.lineJoin = "round";
    context.lineWidth = 4.5;
    context.strokeStyle = "#ffffffb0";
    context.strokeRect(x, y, width, height);
    context.lineWidth = 2.5;
    context.strokeStyle = this.colors[classId] ?? "#2456c9";
    context.strokeRect(x, y, width, height);
  }

  /** @param {CanvasRenderingContext2D} context @param {Detection} detection @param {Rectangle} chip */
  #name(context, detection, { left, top, right }) {
    const { classId } = detection;
    context.fillStyle = this.colors[classId] ?? "#2456c9";
    context.beginPath();
    context.roundRect(left, top, right - left, chipHeight, 4);
    context.fill();
    context.fillStyle = this.inks[classId] ?? "#ffffff";
    // A name that is too long for the picture is set narrower.
    context.fillText(textOf(detection), left + 6, top + 14.5, right - left - 12);
  }
}
