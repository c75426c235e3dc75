// @ts-check
// What was found, as lists, and how the detector runs, as facts.

/** @typedef {import("rfdetr/browser").Detection} Detection */

/** @param {string} name @param {Record<string, string>} [attributes] @param {(Node | string)[]} children */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** A small square in the colour of a class. @param {string} color */
function swatch(color) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [key, value] of Object.entries({ width: "12", height: "12", "aria-hidden": "true" }))
    svg.setAttribute(key, value);
  const square = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const [key, value] of Object.entries({ width: "12", height: "12", rx: "3", fill: color }))
    square.setAttribute(key, value);
  svg.append(square);
  return svg;
}

/** The classes, each with the number of its objects, to be shown or hidden. */
export class ClassList {
  /** @type {{ name: string, box: HTMLInputElement, count: HTMLElement, item: HTMLElement }[]} */
  #rows = [];

  /** @param {HTMLElement} list @param {() => void} changed */
  constructor(list, changed) {
    this.list = list;
    this.changed = changed;
  }

  /** @param {readonly string[]} names @param {readonly string[]} colors */
  fill(names, colors) {
    this.#rows = names.map((name, i) => {
      const box = /** @type {HTMLInputElement} */ (element("input", { type: "checkbox" }));
      box.checked = true;
      box.style.accentColor = colors[i];
      box.addEventListener("change", this.changed);
      const count = element("b");
      const item = element("li", {}, element("label", {}, box, element("span", {}, name), count));
      return { name, box, count, item };
    });
    this.list.replaceChildren(...this.#rows.map(({ item }) => item));
  }

  /** Whether objects of a class are shown. @param {number} classId */
  shows(classId) {
    return this.#rows[classId]?.box.checked ?? false;
  }

  /** @param {readonly Detection[]} detections above the threshold, hidden classes included */
  count(detections) {
    for (const [classId, { count, item }] of this.#rows.entries()) {
      const number = detections.filter((each) => each.classId === classId).length;
      count.textContent = number === 0 ? "" : String(number);
      count.hidden = number === 0;
      item.classList.toggle("none", number === 0);
      // A detector of many classes shows those that are there.
      item.hidden = this.#rows.length > 12 && number === 0;
    }
  }
}

/**
 * @param {HTMLElement} list @param {readonly Detection[]} detections
 * @param {readonly string[]} colors @param {(detection: Detection | null) => void} choose
 */
export function listObjects(list, detections, colors, choose) {
  list.replaceChildren(
    ...detections.map((detection) => {
      const { box, className, classId, score } = detection;
      const where = box.map(Math.round).join(", ");
      const button = element(
        "button",
        { type: "button", title: `left, top, right, bottom: ${where} px` },
        ...[
          swatch(colors[classId] ?? "#888888"),
          element("span", {}, className),
          element("span", {}, score.toFixed(2)),
        ],
        element("span", { class: "away" }, ` at ${where} pixels`),
      );
      for (const event of ["focus", "mouseenter"]) button.addEventListener(event, () => choose(detection));
      for (const event of ["blur", "mouseleave"]) button.addEventListener(event, () => choose(null));
      return element("li", {}, button);
    }),
  );
}

/** In words, for those who do not see the picture. @param {readonly Detection[]} detections */
export function inWords(detections) {
  if (detections.length === 0) return "No object found";
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { className } of detections) counts.set(className, (counts.get(className) ?? 0) + 1);
  const parts = [...counts].map(([name, count]) => `${count} ${name}`);
  return `Found ${parts.join(", ")}`;
}

/** Two decimals, never rounded up. @param {number} score */
export const roundedDown = (score) => (Math.floor(score * 100 + 1e-6) / 100).toFixed(2);

/**
 * The best of what the slider hides: its class and score.
 * @template {{ className: string, score: number }} T
 * @param {readonly T[]} candidates of the classes that are shown
 * @param {number} threshold that none is above: the score is not rounded up to it
 */
export function bestInWords(candidates, threshold) {
  if (candidates.length === 0) return "";
  const { className, score } = candidates.reduce((best, each) => (each.score > best.score ? each : best));
  const rounded = score.toFixed(2);
  return `best: ${className} ${score < 0.01 ? "below 0.01" : Number(rounded) < threshold ? rounded : roundedDown(score)}`;
}

/**
 * @param {HTMLElement} list
 * @param {readonly (readonly [name: string, value: string, good?: boolean] | null)[]} facts
 */
export function listFacts(list, facts) {
  list.replaceChildren(
    ...facts
      .filter((fact) => fact !== null)
      .flatMap(([name, value, good]) => [element("dt", {}, name), element("dd", good ? { class: "good" } : {}, value)]),
  );
}
