// @ts-check
// Search over titles and headings, and the list of pages that stays open where there is room.
/** @typedef {[text: string, page: string, url: string]} Entry */

const entries = /** @type {Entry[]} */ (Reflect.get(globalThis, "siteEntries") ?? []);
const box = /** @type {HTMLInputElement} */ (document.querySelector("input[type=search]"));
const list = /** @type {HTMLOListElement} */ (document.querySelector("search ol"));
const menu = /** @type {HTMLDetailsElement} */ (document.querySelector("header details"));

box.hidden = false;
box.addEventListener("input", () => {
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (/** @type {Entry} */ [text, page, url]) =>
    words.every((word) => `${text} ${page} ${url}`.toLowerCase().includes(word));
  const isFirst = (/** @type {Entry} */ [text]) => text.toLowerCase().startsWith(words[0] ?? "");
  const found = words.length === 0 ? [] : entries.filter(fits);
  const best = [...found.filter(isFirst), ...found.filter((entry) => !isFirst(entry))].slice(0, 12);
  list.replaceChildren(
    ...best.map(([text, page, url]) => {
      const item = document.createElement("li");
      const link = document.createElement("a");
      link.href = box.dataset.top + url;
      link.textContent = text;
      const where = document.createElement("small");
      where.textContent = page === text ? "" : page;
      link.append(" ", where);
      item.append(link);
      return item;
    }),
  );
});
box.addEventListener("keydown", (event) => {
  if (event.key === "Enter") list.querySelector("a")?.click();
  if (event.key !== "Escape") return;
  box.value = "";
  list.replaceChildren();
});

const wide = matchMedia("(min-width: 60rem)");
const arrange = () => {
  menu.open = wide.matches;
};
wide.addEventListener("change", arrange);
arrange();
const here = /** @type {HTMLElement | null} */ (menu.querySelector("[aria-current]"));
const side = /** @type {HTMLElement} */ (document.querySelector("header"));
side.scrollTop = (here?.offsetTop ?? 0) - innerHeight / 2;
