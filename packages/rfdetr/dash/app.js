// @ts-check
// The page: which part is shown, by the address; and what it is told of the runs.
import { Live } from "./client.js";
import { CompareView } from "./compare.js";
import { fill, h } from "./dom.js";
import { RunView } from "./run-view.js";
import { RunsView } from "./runs-view.js";

/** @import { Tab } from "./run-view.js" */

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
const trail = /** @type {HTMLElement} */ (document.getElementById("trail"));
const home = h("a", { href: "#/", hidden: true }, "← all runs");
const link = /** @type {HTMLElement} */ (document.getElementById("link"));
const told = /** @type {HTMLElement} */ (document.getElementById("told"));

/** @type {RunsView | RunView | CompareView | null} */
let view = null;
let shown = "";

/** Says something for a while. @param {string} text */
function tell(text) {
  told.textContent = text;
  setTimeout(() => {
    if (told.textContent === text) told.textContent = "";
  }, 8000);
}

/** Shows what the address asks for. */
function route() {
  const [, kind = "", rest = "", tab = "curves"] = location.hash.split("/");
  const wanted = `${kind}/${rest}`;
  if (view instanceof RunView && wanted === shown) return view.show(/** @type {Tab} */ (tab));
  shown = wanted;
  document.title = "rfdetr dash";
  if (kind === "run") view = new RunView(rest, /** @type {Tab} */ (tab), tell);
  else if (kind === "compare") view = new CompareView(rest.split("+"));
  else view = new RunsView();
  fill(main, view.element);
  showWayBack();
  if (live.told) view.update(live);
}

/** Shows the way to the list where it has more than what is shown. */
function showWayBack() {
  const [kind, id] = shown.split("/");
  home.hidden = kind === "" || (kind === "run" && live.list.every((row) => row.id === id));
}

const live = new Live(
  (rows) => {
    view?.update(rows);
    showWayBack();
  },
  (text) => {
    link.textContent = text;
  },
);
fill(trail, home);
addEventListener("hashchange", route);
addEventListener("unhandledrejection", ({ reason }) => tell(reason instanceof Error ? reason.message : String(reason)));
route();
