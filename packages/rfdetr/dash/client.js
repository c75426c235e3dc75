// @ts-check
// What the page knows of the server: requests, and the events that say what has changed.

/** @import { ControlRequest, RunRow, RunsEvent } from "../src/dash/wire.js" */

/**
 * @param {string} path
 * @param {Record<string, string | number>} query
 * @returns {Promise<any>} null where there is none
 */
export async function ask(path, query = {}) {
  const text = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)])).toString();
  const answer = await fetch(text === "" ? path : `${path}?${text}`);
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error((await answer.text()).slice(0, 300));
  return await answer.json();
}

/**
 * Asks something of a run.
 * @param {string} id
 * @param {ControlRequest} request
 * @returns {Promise<string>} what was done
 */
export async function control(id, request) {
  const key = document.querySelector('meta[name="rfdetr-key"]')?.getAttribute("content") ?? "";
  const answer = await fetch(`/api/runs/${id}/control`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-rfdetr-key": key },
    body: JSON.stringify(request),
  });
  const { said, error } = await answer.json();
  if (error !== undefined) throw new Error(error);
  return said;
}

/**
 * The rows of the list as the server last told them. A hidden page closes the connection, so that nothing is done
 * for it.
 */
export class Live {
  /** @type {Map<string, RunRow>} */
  rows = new Map();
  /** Whether the list has been told. */
  told = false;
  /** @type {EventSource | null} */
  #source = null;

  /** @param {(live: Live) => void} onNews @param {(text: string) => void} onLink */
  constructor(onNews, onLink) {
    this.onNews = onNews;
    this.onLink = onLink;
    document.addEventListener("visibilitychange", () => this.#follow());
    this.#follow();
  }

  #follow() {
    if (document.hidden) {
      this.#source?.close();
      this.#source = null;
      return;
    }
    if (this.#source !== null) return;
    const source = new EventSource("/api/events");
    this.#source = source;
    let whole = true;
    source.addEventListener("runs", (event) => {
      /** @type {RunsEvent} */
      const { changed, removed } = JSON.parse(event.data);
      // After an interruption the server tells the whole list again.
      if (whole) this.rows.clear();
      whole = false;
      for (const row of changed) this.rows.set(row.id, row);
      for (const id of removed) this.rows.delete(id);
      this.told = true;
      this.onLink("");
      this.onNews(this);
    });
    source.addEventListener("error", () => {
      whole = true;
      this.onLink("The server does not answer. Is rfdetr dash still running?");
    });
  }

  /** The rows by name, those of runs that train now before the others. */
  get list() {
    const order = new Intl.Collator("en", { numeric: true });
    const rest = (/** @type {RunRow} */ { state }) => Number(state !== "running" && state !== "paused");
    return [...this.rows.values()].sort((a, b) => rest(a) - rest(b) || order.compare(a.name, b.name));
  }
}

/** Runs a task; what is asked for meanwhile is done once, after it. */
export class Latest {
  #busy = false;
  #again = false;

  /** @param {() => Promise<void>} task */
  constructor(task) {
    this.task = task;
  }

  async run() {
    if (this.#busy) {
      this.#again = true;
      return;
    }
    this.#busy = true;
    try {
      do {
        this.#again = false;
        await this.task();
      } while (this.#again);
    } finally {
      this.#busy = false;
    }
  }
}
