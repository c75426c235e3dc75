// Which settings are best, in words: what the seeds of the runs allow to say, and how to learn more.
import { shellWord } from "../../support/format.js";
import { largestOf, smallestOf } from "../../support/lists.js";
import { type Html, html, nameOf } from "../html/html.js";
import { table } from "../html/table.js";
import { counted, fraction, listed } from "../html/words.js";
import { repeatWords } from "../sections/repeat.js";
import { type Compared, star } from "./classes.js";
import { differingSettings, resultFacts, validObjects } from "./facts.js";
import { dataDifferences, hasMasks, sameKind } from "./likeness.js";
import { bySettings, changesNothing, hasEnded, judge, type SettingFigures, type Verdict } from "./seeds.js";

/** AP of all runs, of masks where all have them; with what stands before its name. */
function mainAP({ runs }: Compared): { of: "" | "mask "; values: (number | null)[]; verdict: Verdict } {
  const of = runs.every(hasMasks) ? "mask " : "";
  const main = resultFacts(runs).find(({ name }) => name === (of === "" ? "best AP" : "best mask AP"));
  const values = runs.map((run) => main?.value(run) ?? null);
  return { of, values, verdict: judge(values, runs, validObjects(runs)) };
}

/** The result in a few sentences. */
export function sentence(all: Compared): Html {
  const { runs, names } = all;
  const differences = dataDifferences(runs);
  const apart = [
    ...(differences.length === 0 ? [] : ["on different data"]),
    ...(sameKind(runs) ? [] : ["of different kinds, masks and boxes"]),
  ];
  const how = differences.length === 0 ? "" : ` The data differ: ${differences.join("; ")}.`;
  if (apart.length > 0) return html`The runs are ${listed(apart)}: their AP does not tell which is best.${how}`;
  const { of, values, verdict } = mainAP(all);
  const [most, ...rest] = values.filter((value) => value !== null).sort((a, b) => b - a);
  if (rest.length === 0) return html`The runs have no figures to compare by.`;
  if (most === 0) return html`All runs have ${of}AP 0: no detection was right so far.`;
  if (verdict.spread === null && most === rest[0]) return html`The best runs are equal: ${of}AP ${fraction(most)}.`;
  if (verdict.settings.length < 2) return ofOneSetting(of, most, rest.at(-1) ?? most, verdict);
  if (verdict.spread !== null) return ofSeeds(of, verdict, labelsOf(all));
  const first = nameOf(names[values.indexOf(most)]);
  return html`${first} has the highest ${of}AP, <b>${fraction(most)}</b>, ${fraction(most - rest[0])} above the next. With one run of each, this may be the settings or the seed: train each with 2 or 3 seeds (<a href="#result">commands</a>), and compare all of these runs.`;
}

function ofOneSetting(of: string, most: number, least: number, { settings: [only], spread }: Verdict): Html {
  return spread === null
    ? html`The runs have the same settings and the same seed: ${of}AP ${fraction(least)} to ${fraction(most)}.`
    : html`The runs differ by their seed alone: <b>${of}AP ${fraction(only.mean)} ± ${fraction(spread)}</b>, mean and standard deviation of ${counted(only.seeds, "seed")}.`;
}

/** @param labels of the settings, by the place of the first run */
function ofSeeds(of: string, { settings, best, spread, bound }: Verdict, labels: ReadonlyMap<number, string>): Html {
  const name = ({ runs: [first] }: SettingFigures): Html => html`${nameOf(labels.get(first) ?? "")}`;
  const seeds = `Seeds of the same settings have a standard deviation of ${fraction(spread)} here: with so few of them, only means more than ${fraction(bound)} apart differ by more than chance.`;
  const [first, second] = settings;
  if (best.length === 0)
    return html`No settings are better by more than their seeds explain: the highest mean ${of}AP is ${fraction(first.mean)} (${name(first)}), ${fraction(first.mean - second.mean)} above the next. ${seeds}`;
  const others = settings.filter((each) => !best.includes(each)).map(({ mean }) => mean);
  const above = fraction(best[best.length - 1].mean - largestOf(others));
  const figure = html`<b>${of}AP ${fraction(first.mean)}</b>, the mean of ${counted(first.seeds, "seed")}`;
  if (best.length === 1)
    return html`The best settings are ${name(first)}: ${figure}, ${above} above the next. ${seeds}`;
  const like = best.slice(1).map((each, i) => html`${i > 0 && ", "}${name(each)}`);
  return html`The best settings are ${name(first)}: ${figure}; not told apart from it: ${like}. ${seeds}`;
}

/**
 * Settings in a few words by the places of their runs: the values that differ where these are few and no two are the
 * same, otherwise the name of a run that has them.
 */
function labelsOf({ runs, names }: Compared): Map<number, string> {
  const groups = bySettings(runs);
  const differing = differingSettings(groups.map(([first]) => runs[first]));
  const telling = differing.filter(({ name }) => !changesNothing(name) && name !== "hardware");
  const short = groups.map((_, i) =>
    telling
      .map(({ name, values }) => [name, values[i]] as const)
      .map(([name, value]) => (name === "resolved precision" ? String(value) : `${name} ${textOf(value)}`))
      .join(", "),
  );
  const isClear = telling.length > 0 && telling.length < 3 && new Set(short).size === groups.length;
  return new Map(
    groups.flatMap((places, i) => {
      const label = isClear ? short[i] : `as in ${names[places[0]]}`;
      return places.map((place) => [place, label] as const);
    }),
  );
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value ?? null));

/** Means and deviations of runs with the same settings; null where each of the settings has one seed. */
export function overSeeds(all: Compared): Html | null {
  const { of, values, verdict } = mainAP(all);
  if (verdict.spread === null || dataDifferences(all.runs).length > 0 || !sameKind(all.runs)) return null;
  const labels = labelsOf(all);
  const valuesOf = ({ runs }: SettingFigures): number[] => runs.map((i) => values[i] as number);
  return table(
    `Best ${of}AP by settings: mean and standard deviation over seeds. The best is bold, with a star, where seeds do not explain the difference (Student's t, 95 %)`,
    [
      { title: "settings", cell: ({ runs: [first] }: SettingFigures) => nameOf(labels.get(first) ?? "") },
      { title: "runs", cell: ({ runs }) => nameOf(listed(runs.map((i) => all.names[i]))) },
      { title: "seeds", number: true, cell: ({ seeds }) => String(seeds) },
      { title: "mean", number: true, cell: (each) => star(verdict.best.includes(each), fraction(each.mean)) },
      { title: "deviation", number: true, cell: ({ deviation }) => fraction(deviation) },
      { title: "least", number: true, cell: (each) => fraction(smallestOf(valuesOf(each))) },
      { title: "most", number: true, cell: (each) => fraction(largestOf(valuesOf(each))) },
    ],
    verdict.settings,
  );
}

/** Commands that train settings of one seed with another; null where each has more, or all runs are of one. */
export function moreSeeds({ runs }: Compared): Html | null {
  const groups = bySettings(runs);
  if (groups.length < 2) return null;
  const commands = groups.flatMap((places) => {
    const configs = places.filter((i) => hasEnded(runs[i])).flatMap((i) => runs[i].config ?? []);
    const seeds = new Set(configs.flatMap(({ seed }) => seed ?? []));
    const [seed] = seeds;
    return seeds.size === 1
      ? [
          repeatWords({ ...configs[0], seed: seed + 1 })
            .map(shellWord)
            .join(" "),
        ]
      : [];
  });
  if (commands.length === 0) return null;
  return html`<p>This trains settings of one seed with another:</p>
${commands.map((command) => html`<pre><code>${command}</code></pre>\n`)}`;
}
