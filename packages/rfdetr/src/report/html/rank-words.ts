// What one should know of the processes of a run, in sentences.
import { type RankSummary, slowRank } from "../records/ranks.js";
import { duration, grouped, percent } from "./words.js";

/** Sentences without their full stops. */
export function rankSentences(summary: RankSummary): string[] {
  return [pace(summary), exchange(summary), noise(summary)].filter((sentence) => sentence !== null);
}

function pace(summary: RankSummary): string | null {
  const { ranks } = summary;
  const slow = slowRank(summary);
  if (slow === null) {
    const work = ranks.map((rank) => rank.work);
    return ranks.length < 2
      ? null
      : `The processes keep pace: each works ${duration(Math.min(...work))} to ${duration(Math.max(...work))} a step`;
  }
  const where = slow.host === "" ? "" : ` on ${slow.host}`;
  const gap = slow.work - slow.others;
  const why =
    slow.loading > gap / 2 ? `. Waiting for its images makes ${duration(slow.loading)} of the difference` : "";
  return `Rank ${slow.rank}${where} is slow: it works ${duration(slow.work)} a step, the others ${duration(slow.others)}, and every step waits for it${why}`;
}

function exchange({ ranks, exchange }: RankSummary): string | null {
  const step = Math.max(...ranks.map(({ work, wait }) => work + wait));
  if (ranks.length < 2 || !(step > 0)) return null;
  return `Exchanging gradients takes ${duration(exchange)} of a step, ${percent(exchange / step)}: even the process that waits least waits that long`;
}

/** McCandlish et al. 2018, eq. 2.7 and 5.2: a run of batch B needs 1 + noise scale / B times the fewest steps. */
function noise({ noiseScale, images }: RankSummary): string | null {
  if (noiseScale === null) return null;
  const steps = (batch: number): number => 1 + noiseScale / batch;
  const saved = 1 - steps(2 * images) / steps(images);
  const fewer = `${saved < 0.15 ? "only " : ""}${percent(saved)} fewer`;
  return `The gradient noise scale is about ${grouped(Number(noiseScale.toPrecision(2)))} images and a step has ${images}: with twice as many processes a run would need ${fewer} steps`;
}
