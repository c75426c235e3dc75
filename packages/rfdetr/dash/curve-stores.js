// @ts-check
// The figures of a run as the page has them; what lacks is fetched.
import { ask } from "./client.js";

/** @import { Column } from "./chart.js" */
/** @import { EpochColumns, StepColumns } from "../src/dash/wire.js" */

/** The steps of a run as the page has them. */
export class StepStore {
  /** @type {StepColumns | null} */
  columns = null;

  /** Fetches what lacks. @param {string} run @returns {Promise<boolean>} whether something is new */
  async fetch(run) {
    const { generation = 0, step = [] } = this.columns ?? {};
    /** @type {StepColumns | null} */
    const sent = await ask(`/api/runs/${run}/steps`, { generation, count: step.length });
    if (sent === null) return false;
    const before = this.columns;
    if (sent.from === 0 || before === null) this.columns = sent;
    else
      this.columns = /** @type {StepColumns} */ (
        Object.fromEntries(
          Object.entries(sent).map(([name, value]) => [
            name,
            Array.isArray(value) ? [...before[/** @type {"step"} */ (name)].slice(0, sent.from), ...value] : value,
          ]),
        )
      );
    return true;
  }
}

/** The epochs of a run as the page has them. */
export class EpochStore {
  /** @type {Record<string, Column>} */
  columns = {};

  /** Reads the rows that lack. @param {string} run @returns {Promise<void>} */
  async fetch(run) {
    const have = this.columns.epoch?.length ?? 0;
    /** @type {EpochColumns | null} */
    const sent = await ask(`/api/runs/${run}/epochs`, { from: have });
    if (sent === null) return;
    // Fewer rows than there were: the run went back, and its rows are read anew.
    if (sent.rows < have) {
      this.columns = {};
      return await this.fetch(run);
    }
    for (const [name, values] of Object.entries(sent.columns))
      this.columns[name] = [...(this.columns[name] ?? Array(have).fill(null)), ...values];
  }

  /** @param {string} name @returns {Column} */
  column(name) {
    return this.columns[name] ?? (this.columns.epoch ?? []).map(() => null);
  }
}
