// @ts-check
// Makes elements. Text is always text: no name of a class, a file or a module is ever read as markup.

/** @typedef {Node | string | number | null | undefined | false} Child */
/**
 * @typedef {Record<string, unknown>} Attributes listeners have names such as `onclick`; `style` holds custom
 *   properties
 */

/**
 * @template {Element} T
 * @param {T} element @param {Attributes} attributes @param {Child[]} children @returns {T}
 */
function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else if (name === "style") setStyle(/** @type {HTMLElement} */ (/** @type {unknown} */ (element)), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (isShown(child)) element.append(typeof child === "number" ? String(child) : child);
  return element;
}

/** @param {HTMLElement} element @param {unknown} style */
function setStyle(element, style) {
  for (const [name, value] of Object.entries(/** @type {Record<string, string>} */ (style)))
    element.style.setProperty(name, value);
}

/** @param {Child} child @returns {child is Node | string | number} */
const isShown = (child) => child !== null && child !== undefined && child !== false;

/**
 * An element of HTML.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag @param {Attributes} attributes @param {Child[]} children
 */
export const h = (tag, attributes = {}, ...children) => filled(document.createElement(tag), attributes, children);

/**
 * An element of SVG.
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag @param {Attributes} attributes @param {Child[]} children
 */
export const s = (tag, attributes = {}, ...children) =>
  filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

/** An image that comes when it is seen; words where it does not come. @param {string} src @param {string} alt */
export function picture(src, alt) {
  const image = h("img", { src, alt, loading: "lazy" });
  image.addEventListener("error", () =>
    image.replaceWith(h("p", { class: "quiet missing" }, "The image is not at hand.")),
  );
  return image;
}

/** Puts children in the place of those that are there. @param {Element} element @param {Child[]} children */
export function fill(element, ...children) {
  element.replaceChildren(
    ...children.filter(isShown).map((child) => (typeof child === "number" ? String(child) : child)),
  );
}

/**
 * A table, which a reader that sees no chart can use in its place. It is made when it is opened.
 * @param {string} title @param {() => {header: string[], rows: (string | number | null)[][]}} content
 */
export function asTable(title, content) {
  const details = h("details", { class: "as-table" }, h("summary", {}, "As a table"));
  details.addEventListener("toggle", () => {
    details.querySelector("div")?.remove();
    if (!details.open) return;
    const { header, rows } = content();
    details.append(
      h(
        "div",
        { class: "scroll", tabindex: 0, role: "region", "aria-label": title },
        h(
          "table",
          {},
          h("caption", { class: "unseen" }, title),
          h("thead", {}, h("tr", {}, ...header.map((text) => h("th", { scope: "col" }, text)))),
          h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((cell) => h("td", {}, cell ?? "–"))))),
        ),
      ),
    );
  });
  return details;
}

/** The value of a colour or a length of the style sheet. @param {string} name */
export const styleValue = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/**
 * A canvas cleared and scaled for the screen, with its size in CSS pixels; null while it is not laid out.
 * @param {HTMLCanvasElement} canvas
 */
export function drawing(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const context = canvas.getContext("2d");
  if (width === 0 || height === 0 || context === null) return null;
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}
