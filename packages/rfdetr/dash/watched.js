// @ts-check
// The watched steps of a run, as the page has them: what the server sends is added to what is there.

/** @import { Fault, Forecast, ModuleSeries, SideSeries, WatchedSteps } from "../src/dash/wire.js" */

/** @param {SideSeries | null} before @param {SideSeries | null} more @param {number} from @param {number} count */
function joinedSide(before, more, from, count) {
  if (before === null && more === null) return null;
  const missing = (/** @type {number} */ length) => Array(length).fill(null);
  return {
    dtype: (more ?? before)?.dtype ?? "",
    letters: (before?.letters.slice(0, from) ?? "-".repeat(from)) + (more?.letters ?? "-".repeat(count)),
    top: [...(before?.top.slice(0, from) ?? missing(from)), ...(more?.top ?? missing(count))],
    flushed: [...(before?.flushed.slice(0, from) ?? Array(from).fill(0)), ...(more?.flushed ?? Array(count).fill(0))],
    flushed16: [
      ...(before?.flushed16.slice(0, from) ?? Array(from).fill(0)),
      ...(more?.flushed16 ?? Array(count).fill(0)),
    ],
  };
}

/** The watched steps of a run. */
export class Watched {
  generation = 0;
  /** Watched steps of the run, of which several may be joined. */
  records = 0;
  /** @type {number[]} */
  steps = [];
  /** @type {number[]} */
  scale = [];
  /** @type {ModuleSeries[]} */
  modules = [];
  /** @type {Fault[]} */
  faults = [];
  /** @type {Forecast[]} */
  forecasts = [];
  /** @type {WatchedSteps["header"]} */
  header = null;

  /** Adds what the server sent. @param {WatchedSteps} more @returns {boolean} whether there is a new watched step */
  add(more) {
    const { from, steps, scale, modules } = more;
    const isNew = more.records !== this.records || more.generation !== this.generation;
    const known = new Map(this.modules.map((module) => [module.path, module]));
    const sent = new Map(modules.map((module) => [module.path, module]));
    const paths = [...sent.keys(), ...(from === 0 ? [] : [...known.keys()].filter((path) => !sent.has(path)))];
    this.modules = paths.map((path) => {
      const [before, after] = [from === 0 ? undefined : known.get(path), sent.get(path)];
      return {
        path,
        forward: joinedSide(before?.forward ?? null, after?.forward ?? null, from, steps.length),
        gradient: joinedSide(before?.gradient ?? null, after?.gradient ?? null, from, steps.length),
      };
    });
    this.steps = [...this.steps.slice(0, from), ...steps];
    this.scale = [...this.scale.slice(0, from), ...scale];
    const { generation, records, faults, forecasts, header } = more;
    Object.assign(this, { generation, records, faults, forecasts, header });
    return isNew;
  }

  /** What the server needs to know to send only what lacks. */
  get has() {
    return { generation: this.generation, count: this.steps.length, records: this.records };
  }
}
