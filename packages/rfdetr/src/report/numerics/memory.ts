// Where the memory of a run went: by kind and by dtype.
import { formatBytes } from "@rfdetr/amp/text";
import { extent } from "../../charts/axis.js";
import { barChart, lineChart } from "../charts/draw.js";
import { figure } from "../charts/figure.js";
import { type Html, html } from "../html/html.js";
import { subsection } from "../html/subsection.js";
import { grouped, percent } from "../html/words.js";
import type { NumericsRecord } from "../records/numerics-record.js";
import { mostOf } from "../records/step-points.js";

/** What the kinds are, in words. */
const kindWords: Readonly<Record<string, string>> = {
  weights: "weights",
  copies: "low-precision copies",
  gradients: "gradients",
  moments: "optimizer moments",
  average: "averaged weights",
  activations: "activations",
  temporary: "temporary",
};

/** The highest peak, and the memory over the steps. */
export function memory(numerics: NumericsRecord): Html | null {
  const peak = mostOf(numerics.points, "memory.peak_bytes");
  const resident = mostOf(numerics.points, "memory.rss_bytes");
  if (peak === null) return null;
  return subsection(
    "Memory",
    html`<p>All tensors together took ${formatBytes(peak)} at most, in the largest step of this run${resident !== null && afterStep(resident)}.${written(numerics)}</p>`,
    html`<div class="figures">${[kinds(numerics), dtypes(numerics), course(numerics)]}</div>`,
  );
}

/** Another figure than the peak of the process. */
const afterStep = (resident: number): string =>
  `; after a step the whole process took up to ${formatBytes(resident)}, without what it held within steps and in evaluations`;

function written({ latest }: NumericsRecord): string | null {
  const bytes = latest?.written_bytes;
  if (bytes === undefined || bytes.half === 0) return null;
  return ` One forward wrote ${formatBytes(bytes.half)} in low precision and ${formatBytes(bytes.full)} in float32; 32-true would have written ${formatBytes(bytes.half)} more.`;
}

interface Share {
  name: string;
  bytes: number;
}

function shares(title: string, about: string, all: Share[]): Html | null {
  const rows = all.filter(({ bytes }) => bytes > 0).sort((a, b) => b.bytes - a.bytes);
  const total = rows.reduce((sum, { bytes }) => sum + bytes, 0);
  if (rows.length === 0) return null;
  return figure({
    title,
    about,
    chart: barChart(
      `${title}: ${rows.map(({ name, bytes }) => `${name} ${formatBytes(bytes)}`).join(", ")}.`,
      "bytes",
      rows.map(({ name, bytes }) => ({
        name,
        values: [bytes],
        words: [`${formatBytes(bytes)}, ${percent(bytes / total)}`],
      })),
    ),
    columns: [
      { title: "kind", cell: ({ name }: Share) => name },
      { title: "size", number: true, cell: ({ bytes }) => formatBytes(bytes) },
      { title: "bytes", number: true, cell: ({ bytes }) => grouped(bytes) },
    ],
    rows,
  });
}

function kinds({ peak, header, points }: NumericsRecord): Html | null {
  if (peak !== null) {
    const all = Object.entries(peak.kinds).map(([kind, bytes]) => ({ name: kindWords[kind] ?? kind, bytes }));
    return shares(
      `Memory by kind at the peak`,
      `Of ${formatBytes(peak.bytes)} in ${peak.phase} of step ${grouped(peak.step)}, the highest of the watched steps that were looked into.`,
      all,
    );
  }
  const most = (name: string): number => mostOf(points, `memory.${name}`) ?? 0;
  const fixed = Object.entries(header?.fixed_bytes ?? {});
  if (fixed.length === 0) return null;
  return shares("Memory by kind", "Most of each kind; they do not all come at the same moment.", [
    ...fixed.map(([kind, bytes]) => ({ name: kindWords[kind] ?? kind, bytes })),
    { name: kindWords.activations, bytes: most("kept_bytes") },
    { name: kindWords.copies, bytes: most("half_copy_bytes") },
  ]);
}

function dtypes({ peak }: NumericsRecord): Html | null {
  if (peak === null) return null;
  const all = Object.entries(peak.dtypes).map(([name, bytes]) => ({ name, bytes }));
  return shares("Memory by dtype at the peak", "The same bytes; what operators needed while they ran is “other”.", all);
}

function course({ points }: NumericsRecord): Html | null {
  const { "memory.peak_bytes": peak, "memory.live_bytes": live, "memory.rss_bytes": resident } = points.courses;
  const mebi = (values: readonly number[]): number[] => values.map((value) => value / 2 ** 20);
  const lines = [
    { name: "whole process after the step", course: resident, series: 2 },
    { name: "peak of tensors", course: peak, series: 0 },
    { name: "tensors after the step", course: live, series: 1 },
  ].filter(({ course }) => course !== undefined);
  const chart = lineChart({
    alt: `Memory over the optimizer steps: ${lines.map(({ name, course }) => `${name} up to ${formatBytes(extent(course.max)?.[1] ?? 0)}`).join(", ")}.`,
    xLabel: "optimizer step",
    yLabel: "MiB",
    include: [0],
    lines: lines.map(({ course, series: color }) => ({ x: points.last, y: mebi(course.max), color })),
  });
  if (chart === null) return null;
  return figure({
    title: "Memory over the steps",
    about:
      "Where the lines of the tensors stay level, nothing leaks. The process keeps decoded images as well, up to 256 MiB of them in training and as many in evaluation, so its line climbs until they are all kept.",
    chart,
    legend: lines.map(({ name, series }) => ({ name, series })),
    columns: [
      { title: "step", number: true, cell: (i: number) => grouped(points.last[i]) },
      ...lines.map(({ name, course }) => ({
        title: name,
        number: true,
        cell: (i: number) => (Number.isFinite(course.max[i]) ? formatBytes(course.max[i]) : "–"),
      })),
    ],
    rows: [...points.last.keys()],
  });
}
