// The other processes in a step: gradients are added up over all of them, and what each computed is told to all.
import { hostname } from "node:os";
import type { GradScaler } from "@rfdetr/amp";
import { distributed, type Tensor } from "@rfdetr/torch";
import type { RankResult, StepPeers } from "../../train/step/step-peers.js";
import type { RankStep } from "../files/numerics/rank-records.js";
import type { Training } from "../session/training.js";
import type { Ranks } from "./ranks.js";

/** What a process computed in a step, with what is recorded of the process. */
interface RankReport extends RankResult {
  host: string;
  load: number;
  work: number;
  wait: number;
  localNorm: number;
}

/** The processes that make the steps of a run together with this one. */
export class RankPeers implements StepPeers {
  readonly #ranks: Ranks;
  readonly #group: distributed.ProcessGroup;
  readonly #reducer: distributed.Reducer;
  #reduced = false;
  #load = 0;
  #waited = 0;
  #scale = 1;
  /** What each process did in the last step. */
  steps: RankStep[] = [];

  /** @throws DistributedError when the processes have other parameters */
  constructor(
    ranks: Ranks,
    group: distributed.ProcessGroup,
    { parts, settings }: Pick<Training, "parts" | "settings">,
  ) {
    this.#ranks = ranks;
    this.#group = group;
    const compress = settings.gradientCompression === "bfloat16" ? "bfloat16" : null;
    this.#reducer = new distributed.Reducer(group, parts.model.namedParameters(), { compress });
  }

  /**
   * Call before a step, after all have told that they are ready for it.
   * @param load seconds in which this process waited for its loader
   */
  next(load: number, { currentScale }: GradScaler): void {
    this.#load = load;
    // Who has its images waits there for those who do not.
    this.#waited = this.#ranks.gatherSeconds;
    this.#scale = currentScale;
  }

  backward(loss: Tensor): void {
    this.#reduced = true;
    this.#reducer.backward(loss);
  }

  gather(gradient: Tensor): Tensor[] {
    return this.#group.allGather(gradient);
  }

  exchange(own: RankResult): RankResult[] {
    const last = this.#reduced ? this.#reducer.last() : { waitSeconds: 0, localNorm: Number.NaN };
    this.#reduced = false;
    const { images, forward, loss, backward } = own.seconds;
    const all = this.#ranks.gather<RankReport>({
      ...own,
      host: hostname(),
      load: this.#load,
      work: this.#load + images + forward + loss + backward - last.waitSeconds,
      wait: this.#waited + last.waitSeconds,
      localNorm: last.localNorm / this.#scale,
    });
    this.steps = all.map(({ host, images, load, work, wait, localNorm }) => ({
      host,
      images,
      load,
      work,
      wait,
      gradNorm: localNorm,
    }));
    return all;
  }

  close(): void {
    this.#reducer.dispose();
  }
}
