// The processes of a run, as the page shows them.
import { rankSentences } from "../../report/html/rank-words.js";
import { mostCurves, type RankSummary, slowRank } from "../../report/records/ranks.js";
import type { RankView } from "../wire.js";
import { brief } from "./columns.js";

/** Null for a run of one process. */
export function rankView(summary: RankSummary | null): RankView | null {
  if (summary === null) return null;
  const { since, ranks, points } = summary;
  const each = ranks.length <= mostCurves ? ranks.map(({ rank }) => String(rank)) : ["least", "median", "most"];
  const curves = (name: string): (number | null)[][] =>
    each.map((key) => (points.courses[`${name}.${key}`]?.mean ?? []).map(brief));
  return {
    since,
    sentences: rankSentences(summary),
    slow: slowRank(summary)?.rank ?? null,
    ranks: ranks.map(({ rank, host, work, load, wait, gradNorm }) => ({
      rank,
      host,
      work: brief(work),
      load: brief(load),
      wait: brief(wait),
      gradNorm: brief(gradNorm),
    })),
    labels: ranks.length <= mostCurves ? each.map((rank) => `rank ${rank}`) : each,
    step: points.last,
    work: curves("work"),
    wait: curves("wait"),
    gradNorm: curves("grad_norm"),
    noiseScale: points.last.map((_, i) => brief(points.courses.noise_scale?.last[i])),
  };
}
