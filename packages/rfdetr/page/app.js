// @ts-check
// The page: wires sources, detector, picture and lists.
import { isolate } from "./isolate.js";
import { bestInWords, ClassList, element, inWords, listFacts, listObjects, roundedDown } from "./results.js";
import { Sources } from "./sources.js";
import { Stage } from "./stage.js";

/** @typedef {import("rfdetr/browser").Detection} Detection */

/** Objects below this are never asked for: the slider ends there, or at a recorded threshold that is lower. */
let lowest = 0.05;
/** Runs whose median is shown. */
const remembered = 15;

/** @template {HTMLElement} T @param {string} id @param {new () => T} kind @returns {T} */
function part(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`The page has no ${id}`);
  return found;
}

const [state, progress, fault] = [
  part("state", HTMLElement),
  part("progress", HTMLProgressElement),
  part("fault", HTMLElement),
];
const confidence = part("confidence", HTMLInputElement);
const stage = new Stage(part("picture", HTMLCanvasElement));
const classes = new ClassList(part("classes", HTMLElement), () => show());
/** @type {readonly Detection[]} */
let detections = [];
/** @type {import("rfdetr/browser").BestBelow | undefined} the best of a picture without detections */
let below;
/** @type {{ pixels: number, model: number, results: number }[]} */
let times = [];
/** @type {any} what the worker said of the detector */
let ready = null;
/** @type {() => void} */
let loaded = () => {};
/** @type {Promise<void>} */
const loading = new Promise((resolve) => {
  loaded = resolve;
});
/** @type {{ resolve: () => void } | null} */
let waiting = null;
/** Whether the slider was moved: then it stays where it is. */
let moved = false;
let moving = false;
let calm = 0;

part("hint", HTMLElement).remove();
await isolate();
const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
worker.onmessage = ({ data }) => received(data);
worker.onerror = (event) => failed(event.message ?? "the detector's thread could not start");

const sources = new Sources(part("video", HTMLVideoElement), detect, {
  moving(now) {
    moving = now;
    part("pause", HTMLElement).hidden = !now;
    part("pause", HTMLElement).textContent = "Pause";
  },
  failed: (message) => complain(message),
});

/** @param {any} message */
function received(message) {
  if (message.type === "started") void begin();
  else if (message.type === "progress") {
    const { bytes, total } = message;
    state.textContent = `Loading ${(bytes / 1e6).toFixed(0)} MB`;
    if (total === null) progress.removeAttribute("value");
    else progress.value = bytes / total;
  } else if (message.type === "trying") {
    state.textContent = `Checking ${message.way}`;
    progress.removeAttribute("value");
  } else if (message.type === "ready") started(message);
  else if (message.type === "found") found(message.found, message.bitmap);
  else failed(message.message);
}

async function begin() {
  const model = await (await fetch(new URL("model.json", import.meta.url))).json();
  part("title", HTMLElement).textContent = model.title;
  document.title = model.title;
  const list = part("examples", HTMLElement);
  list.replaceChildren(
    ...model.examples.map((/** @type {string} */ path, /** @type {number} */ i) => {
      const picture = element("img", { src: path, alt: `Example ${i + 1}`, loading: "lazy" });
      const button = element("button", { type: "button" }, picture);
      button.addEventListener("click", async () => sources.open(await (await fetch(path)).blob()));
      return element("li", {}, button);
    }),
  );
  list.hidden = model.examples.length === 0;
  worker.postMessage({ type: "load", model });
}

/** Loads what reads the masks of a detector that gives some. */
async function readMasks() {
  /** @type {typeof import("rfdetr/browser")} */
  const { maskWindow } = await import(new URL("rfdetr/browser/index.js", import.meta.url).href);
  stage.maskWindow = maskWindow;
  show();
}

/** @param {any} message */
function started(message) {
  ready = message;
  progress.hidden = true;
  state.textContent = "Ready";
  state.classList.add("ready");
  const [height, width] = message.resolution;
  const count = message.classNames.length;
  part("about", HTMLElement).textContent =
    `RF-DETR ${message.model} at ${width} × ${height} px, ${count} ${count === 1 ? "class" : "classes"}`;
  stage.colors = message.colors;
  stage.inks = message.inks;
  if (message.thresholds !== null) startAt(message.thresholds["*"]);
  if (message.masks) readMasks();
  classes.fill(message.classNames, message.colors);
  showFacts();
  show();
  loaded();
  const first = document.querySelector("#examples button");
  if (first instanceof HTMLButtonElement && calm === 0) first.click();
}

/** Sets the slider to the threshold that the file recorded. @param {number} recorded */
function startAt(recorded) {
  const least = Math.max(0.01, Number(roundedDown(recorded)));
  lowest = Math.min(lowest, least);
  confidence.min = String(lowest);
  confidence.max = String(Math.max(Number(confidence.max), least));
  if (!moved) confidence.value = String(least);
  const note = part("recorded", HTMLElement);
  note.textContent = `${least.toFixed(2)} is the best for all classes in the evaluation of the training`;
  note.hidden = false;
}

/** @param {string} message */
function failed(message) {
  complain(message);
  waiting?.resolve();
  waiting = null;
  if (ready !== null) return;
  state.textContent = "Failed";
  state.classList.add("failed");
  progress.hidden = true;
}

/** @param {string} message */
function complain(message) {
  fault.textContent = message;
  fault.hidden = false;
}

/** @param {ImageBitmap} picture */
async function detect(picture) {
  fault.hidden = true;
  part("empty", HTMLElement).hidden = true;
  calm++;
  await loading;
  /** @type {Promise<void>} */
  const done = new Promise((resolve) => {
    waiting = { resolve };
  });
  if (!moving) times = [];
  worker.postMessage({ type: "detect", bitmap: picture, threshold: lowest }, [picture]);
  await done;
}

/** @param {import("rfdetr/browser").TimedDetections} result @param {ImageBitmap} picture */
function found(result, picture) {
  detections = result.detections.filter(({ classId }) => classId < ready.classNames.length);
  below = result.bestBelow;
  times = [...times.slice(1 - remembered), result.milliseconds];
  stage.showPicture(picture);
  show();
  showFacts();
  waiting?.resolve();
  waiting = null;
}

function show() {
  const threshold = Number(confidence.value);
  part("shown", HTMLElement).textContent = threshold.toFixed(2);
  const above = detections.filter(({ score }) => score > threshold);
  const shown = above.filter(({ classId }) => classes.shows(classId));
  classes.count(above);
  stage.showDetections(shown);
  if (ready === null || calm === 0) return;
  part("count", HTMLElement).textContent = `${shown.length} ${shown.length === 1 ? "object" : "objects"}`;
  const seen = [...detections, ...(below === undefined ? [] : [below])].filter(({ classId }) => classes.shows(classId));
  const best = shown.length > 0 ? "" : bestInWords(seen, threshold);
  part("best", HTMLElement).textContent = best;
  part("best", HTMLElement).hidden = best === "";
  const words = best === "" ? inWords(shown) : `${inWords(shown)}; ${best}`;
  stage.canvas.setAttribute("aria-label", words);
  // While a video plays, nobody could listen to every frame.
  if (!moving) part("told", HTMLElement).textContent = words;
  const list = part("objects", HTMLElement);
  if (!list.contains(document.activeElement)) listObjects(list, shown, stage.colors, (each) => stage.choose(each));
}

/** @param {number[]} values */
const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];

function showFacts() {
  const { way, report, error, passedOver } = ready;
  const sum = times.length === 0 ? null : median(times.map((each) => each.pixels + each.model + each.results));
  const model = times.length === 0 ? 0 : median(times.map((each) => each.model));
  const threads = report.backend === "wasm" ? `, ${report.threads} ${report.threads === 1 ? "thread" : "threads"}` : "";
  listFacts(part("facts", HTMLElement), [
    sum === null
      ? null
      : [
          "Latency",
          `${sum.toFixed(0)} ms a picture, ${model.toFixed(0)} ms of it the model (${(1000 / sum).toFixed(1)} a second)`,
        ],
    ["Runs on", `${way}${threads}`],
    passedOver.length === 0 ? null : ["Why", passedOver.join("; ")],
    ["Precision", report.precision],
    error === null
      ? ["Self-check", "the file carries no golden results, so nothing could be checked"]
      : ["Self-check", `${error} from what the training program computes`, true],
  ]);
}

confidence.addEventListener("input", () => {
  moved = true;
  show();
});
part("choose", HTMLElement).addEventListener("click", () => part("file", HTMLInputElement).click());
part("file", HTMLInputElement).addEventListener("change", ({ currentTarget }) => {
  const input = /** @type {HTMLInputElement} */ (currentTarget);
  const [file] = input.files ?? [];
  if (file !== undefined) void sources.open(file);
  input.value = "";
});
part("camera", HTMLElement).addEventListener("click", () => void sources.openCamera());
part("pause", HTMLElement).addEventListener("click", ({ currentTarget }) => {
  const paused = sources.pause();
  /** @type {HTMLElement} */ (currentTarget).textContent = paused ? "Go on" : "Pause";
});
const box = part("stage", HTMLElement);
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  box.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) box.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  box.classList.remove("over");
  const [file] = event.dataTransfer?.files ?? [];
  if (file !== undefined) void sources.open(file);
});
document.addEventListener("paste", (event) => {
  const [file] = event.clipboardData?.files ?? [];
  if (file !== undefined) void sources.open(file);
});
