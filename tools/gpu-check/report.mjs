// @ts-check
// What a check of a GPU found: results with limits, figures without, and what was left out.

/**
 * @typedef {{section: string, name: string, value: number | null, unit: string, limit: string, ok: boolean | null,
 *   note: string}} Result
 */

/** The check was interrupted: nothing else is begun. */
class Interrupted extends Error {}

export class Report {
  /** @type {Result[]} */
  results = [];
  /** @type {{section: string, reason: string}[]} */
  leftOut = [];
  interrupted = false;
  #section = "";
  #began = performance.now();

  /** @param {Record<string, unknown>} about the machine and the options */
  constructor(about) {
    this.about = about;
  }

  /** The first Ctrl-C ends the check after its step; the second ends the process. */
  interrupt() {
    if (this.interrupted) process.exit(130);
    this.interrupted = true;
    process.stderr.write("ending after this step; Ctrl-C again ends at once\n");
  }

  /** Runs a section. What it throws is a failure of that section; the others go on. */
  async section(name, body) {
    if (this.interrupted) return this.leave("interrupted", name);
    this.#section = name;
    process.stderr.write(`${name} …\n`);
    try {
      await body();
    } catch (error) {
      if (error instanceof Interrupted) return this.leave("interrupted", name);
      this.#add({ name: "runs to its end", value: null, limit: "no error", ok: false, note: message(error) });
    }
  }

  /** Lets Ctrl-C be heard between two steps, and says what comes next. */
  async step(what) {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.interrupted) throw new Interrupted();
    process.stderr.write(`  ${what}\n`);
  }

  /** A value that must not exceed a limit. */
  atMost(name, value, limit, unit = "") {
    this.#add({ name, value, unit, limit: `≤ ${limit}${unit}`, ok: value <= limit });
  }
  /** A value that must reach a limit. */
  atLeast(name, value, limit, unit = "") {
    this.#add({ name, value, unit, limit: `≥ ${limit}${unit}`, ok: value >= limit });
  }
  /** Something that must hold. */
  holds(name, ok, note = "") {
    this.#add({ name, value: null, limit: "holds", ok, note });
  }
  /** A figure without a limit. */
  figure(name, value, unit, note = "") {
    this.#add({ name, value, unit, limit: "", ok: null, note });
  }
  /** Something that was not checked. */
  leave(reason, section = this.#section) {
    this.leftOut.push({ section, reason });
  }

  /** A value that was not measured is null. */
  #add(result) {
    this.results.push({ section: this.#section, unit: "", note: "", ...result, value: result.value ?? null });
  }

  data() {
    const count = (ok) => this.results.filter((each) => each.ok === ok).length;
    return {
      date: new Date().toISOString().slice(0, 10),
      ...this.about,
      seconds: Math.round((performance.now() - this.#began) / 1000),
      interrupted: this.interrupted,
      passed: count(true),
      failed: count(false),
      left_out: this.leftOut,
      results: this.results,
    };
  }

  text() {
    const rows = this.results.map(({ section, name, value, unit, limit, ok, note }) => [
      section,
      name,
      shown(value, unit),
      limit,
      ok === null ? "" : ok ? "ok" : "FAILED",
      note,
    ]);
    const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...rows.map((row) => row[column].length)));
    const lines = rows.map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join("  ")
        .trimEnd(),
    );
    return [...lines, ...this.leftOut.map(({ section, reason }) => `${section}: left out: ${reason}`)].join("\n");
  }
}

/** A report as a section of bench/RESULTS.md. */
export function table({ date, device, hardware, libtorch, models, batch, passed, failed, left_out, results }) {
  const rows = results.map(
    ({ section, name, value, unit, limit, ok }) =>
      `| ${section} | ${name} | ${shown(value, unit)} | ${limit} | ${ok === null ? "" : ok ? "ok" : "failed"} |`,
  );
  return [
    `## On a GPU: ${hardware}`,
    "",
    `\`node tools/gpu-check.mjs --device ${device} --model ${models} --batch ${batch}\` (${date}), libtorch ${libtorch}: ${passed} passed, ${failed} failed.`,
    "",
    "| section | what | value | limit | |",
    "|---|---|---|---|---|",
    ...rows,
    ...left_out.flatMap(({ section, reason }) => ["", `Left out: ${section}: ${reason}.`]),
    "",
  ].join("\n");
}

function shown(value, unit) {
  if (value === null) return "";
  const digits = value !== 0 && Math.abs(value) < 1e-2 ? value.toExponential(2) : Number(value.toPrecision(4));
  return `${digits}${unit === "×" || unit === "" ? "" : " "}${unit}`;
}

const message = (error) => String(error?.message ?? error).split("\n")[0];
