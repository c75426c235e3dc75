// @ts-check
// The tree of the modules: each row a strip of colours, which are its headroom over the watched steps.
import { drawing, fill, h, styleValue } from "./dom.js";
import { bitsText } from "./format.js";
import { isFalling, leastBits, levelOf, modulesBelow, treeOf, trendAt } from "./headroom.js";

/** @import { ModuleSeries } from "../src/dash/wire.js" */
/** @import { Measure, Side, TreeNode } from "./headroom.js" */

/**
 * What the tree shows.
 * @typedef {object} TreeView
 * @property {ModuleSeries[]} modules
 * @property {number} columns watched steps
 * @property {number} at the watched step whose figures are shown
 * @property {Side} side
 * @property {Measure} measure
 * @property {"model" | "headroom"} order
 * @property {Set<string>} foreseen `side path` of the modules that are foreseen to overflow
 */

const words = ["overflows", "almost at the limit", "close to the limit", "some room", "room", "far from the limit"];

/** A tree by the pattern of WAI-ARIA: one row takes the focus, arrows move it, open and close. */
export class ModuleTree {
  element = h("div", { role: "tree", class: "tree", "aria-label": "Modules by headroom" });
  /** @type {Set<string>} */
  #open = new Set();
  /** @type {{node: TreeNode, depth: number, row: HTMLElement, below: ModuleSeries[]}[]} */
  #rows = [];
  #selected = "";
  #focused = "";
  /** @type {TreeView | null} */
  #view = null;
  #shape = "";

  /** @param {(path: string) => void} onSelect */
  constructor(onSelect) {
    this.onSelect = onSelect;
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.element.addEventListener("click", (event) => this.#click(event));
    new ResizeObserver(() => this.#paint()).observe(this.element);
  }

  /** @param {TreeView} view */
  show(view) {
    this.#view = view;
    this.#lay();
  }

  /** Selects a module and opens what holds it. @param {string} path */
  select(path) {
    this.#selected = path;
    this.#focused = path;
    const parts = path.split(".");
    for (let i = 1; i < parts.length; i++) this.#open.add(parts.slice(0, i).join("."));
    if (this.#view !== null) this.#lay();
    this.#rowOf(path)?.row.scrollIntoView({ block: "nearest" });
  }

  /** Makes the rows that are visible, unless they are there. */
  #lay() {
    const view = /** @type {TreeView} */ (this.#view);
    const nodes = view.order === "model" ? treeOf(view.modules) : flat(view);
    if (this.#open.size === 0) for (const node of nodes) this.#open.add(node.path);
    /** @type {{node: TreeNode, depth: number, place: number, of: number}[]} */
    const visible = [];
    /** @param {TreeNode[]} siblings @param {number} depth */
    const walk = (siblings, depth) => {
      for (const [i, node] of siblings.entries()) {
        visible.push({ node, depth, place: i + 1, of: siblings.length });
        if (node.children.length > 0 && this.#open.has(node.path)) walk(node.children, depth + 1);
      }
    };
    walk(nodes, 1);
    const shape = `${view.order} ${visible.map(({ node }) => node.path).join(" ")}`;
    if (shape !== this.#shape) {
      const hadFocus = this.element.contains(document.activeElement);
      this.#rows = visible.map((each) => ({ ...each, row: this.#row(each), below: modulesBelow(each.node) }));
      fill(this.element, ...this.#rows.map(({ row }) => row));
      this.#shape = shape;
      if (this.#rowOf(this.#focused) === undefined) this.#focused = this.#rows[0]?.node.path ?? "";
      this.#paint();
      if (hadFocus) this.#rowOf(this.#focused)?.row.focus();
      return;
    }
    for (const [i, each] of visible.entries())
      this.#rows[i] = { ...this.#rows[i], node: each.node, below: modulesBelow(each.node) };
    this.#paint();
  }

  /** @param {{node: TreeNode, depth: number, place: number, of: number}} visible */
  #row({ node, depth, place, of }) {
    const isParent = node.children.length > 0;
    return h(
      "div",
      {
        role: "treeitem",
        class: "tree-row",
        "data-path": node.path,
        "aria-level": depth,
        "aria-posinset": place,
        "aria-setsize": of,
        "aria-expanded": isParent ? String(this.#open.has(node.path)) : null,
        style: { "--depth": String(depth) },
      },
      h("span", { class: `twist ${isParent ? "" : "leaf"}`, "aria-hidden": "true" }),
      h("span", { class: "tree-name", title: node.path }, node.name),
      h("canvas", { class: "strip", "aria-hidden": "true" }),
      h("span", { class: "chip" }),
    );
  }

  /** Brings colours and figures up to date. */
  #paint() {
    const view = this.#view;
    if (view === null) return;
    const colors = [0, 1, 2, 3, 4, 5].map((level) => styleValue(`--level-${level}`));
    const nothing = styleValue("--level-none");
    for (const { node, row, below } of this.#rows) {
      const bits = leastBits(below, view.side, view.at, view.measure);
      const level = levelOf(bits);
      const falls = isFalling(bits, trendAt(below, view.side, view.at, view.measure));
      const isForeseen = below.some(({ path }) => view.foreseen.has(`${view.side} ${path}`));
      const chip = /** @type {HTMLElement} */ (row.querySelector(".chip"));
      chip.textContent = `${falls ? "↘ " : ""}${bitsText(bits)}`;
      chip.dataset.level = bits === Number.POSITIVE_INFINITY ? "none" : String(level);
      row.classList.toggle("foreseen", isForeseen);
      row.setAttribute("aria-selected", String(node.path === this.#selected));
      row.tabIndex = node.path === this.#focused ? 0 : -1;
      const seen =
        bits === Number.POSITIVE_INFINITY ? "only zeros" : `${bitsText(bits)} bits of headroom, ${words[level]}`;
      row.setAttribute(
        "aria-label",
        `${node.path}: ${seen}${falls ? ", falling" : ""}${isForeseen ? ", foreseen to overflow" : ""}`,
      );
      const drawn = drawing(/** @type {HTMLCanvasElement} */ (row.querySelector("canvas")));
      if (drawn === null) continue;
      const { context, width, height } = drawn;
      for (let i = 0; i < view.columns; i++) {
        const room = leastBits(below, view.side, i, view.measure);
        context.fillStyle = room === Number.POSITIVE_INFINITY ? nothing : colors[levelOf(room)];
        const left = Math.floor((i * width) / view.columns);
        context.fillRect(left, 0, Math.ceil(((i + 1) * width) / view.columns) - left, height);
      }
      if (view.at < view.columns - 1) {
        context.fillStyle = styleValue("--ink");
        context.fillRect(Math.floor(((view.at + 0.5) * width) / view.columns), 0, 1.5, height);
      }
    }
  }

  /** @param {string | undefined} path */
  #rowOf(path) {
    return this.#rows.find(({ node }) => node.path === path);
  }

  /** @param {TreeNode} node @param {boolean} open */
  #setOpen(node, open) {
    if (open) this.#open.add(node.path);
    else this.#open.delete(node.path);
    this.#rowOf(node.path)?.row.setAttribute("aria-expanded", String(open));
    this.#lay();
  }

  /** @param {string} path */
  #focus(path) {
    this.#focused = path;
    for (const { node, row } of this.#rows) row.tabIndex = node.path === path ? 0 : -1;
    this.#rowOf(path)?.row.focus();
  }

  /** @param {TreeNode} node */
  #choose(node) {
    const [module] = modulesBelow(node);
    if (module === undefined) return;
    this.#selected = node.path;
    this.onSelect(node.module?.path ?? "");
    this.#paint();
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const row = /** @type {HTMLElement | null} */ (target.closest(".tree-row"));
    const found = this.#rowOf(row?.dataset.path);
    if (found === undefined) return;
    const { node } = found;
    this.#focus(node.path);
    if (node.children.length > 0 && (node.module === null || target.classList.contains("twist")))
      this.#setOpen(node, !this.#open.has(node.path));
    if (node.module !== null && !target.classList.contains("twist")) this.#choose(node);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const at = this.#rows.findIndex(({ node }) => node.path === this.#focused);
    const here = this.#rows[at];
    if (here === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    const isParent = here.node.children.length > 0;
    const isOpen = isParent && this.#open.has(here.node.path);
    const go = (/** @type {number} */ to) => {
      const row = this.#rows[Math.min(Math.max(0, to), this.#rows.length - 1)];
      this.#focus(row.node.path);
    };
    if (event.key === "ArrowDown") go(at + 1);
    else if (event.key === "ArrowUp") go(at - 1);
    else if (event.key === "Home") go(0);
    else if (event.key === "End") go(this.#rows.length - 1);
    else if (event.key === "ArrowRight" && isParent) isOpen ? go(at + 1) : this.#setOpen(here.node, true);
    else if (event.key === "ArrowLeft" && isOpen) this.#setOpen(here.node, false);
    else if (event.key === "ArrowLeft") go(this.#rows.findLastIndex((row, i) => i < at && row.depth < here.depth));
    else if (event.key !== "Enter" && event.key !== " ") return;
    else if (here.node.module !== null) this.#choose(here.node);
    else this.#setOpen(here.node, !isOpen);
    event.preventDefault();
  }
}

/** All modules in a row, those with the least headroom first. @param {TreeView} view @returns {TreeNode[]} */
function flat({ modules, side, at, measure }) {
  return modules
    .map((module) => ({ path: module.path, name: module.path, module, children: [] }))
    .sort((a, b) => leastBits([a.module], side, at, measure) - leastBits([b.module], side, at, measure));
}
