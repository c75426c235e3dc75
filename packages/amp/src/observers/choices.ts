// Choices: the places that operators pick by comparing values, recorded in one run and made again in another.
import { intercept, keep, Tensor } from "@rfdetr/torch";
import { isObserving } from "../observe.js";
import { placeName } from "../tensors.js";

/** Operators whose integer results say which values they picked. Their floating-point results are those values. */
const choosing = new Set(["topk", "sort", "argsort", "linear_sum_assignment"]);

/** How far the choices of one operator in one module were those of the recorded run. */
export interface ChoiceAgreement {
  /** The path of the module; `(model)` for the root, `(outside of modules)` where no module ran. */
  path: string;
  /** The base name of the operator, such as `topk`. */
  operator: string;
  /** The number of places that it filled, over all calls. */
  places: number;
  /** How many of them it would have filled with the same index, where all choices before were the same. */
  same: number;
}

/** A call of such an operator: who called it, and its integer results. */
interface Choice extends Pick<ChoiceAgreement, "path" | "operator"> {
  indices: Tensor[];
}

/**
 * Separates two errors of a run in low precision: that of rounding, and that of other choices among values that are
 * nearly equal. A ranking or an assignment picks whole rows, so an error in the last digit exchanges one row for
 * another. {@link Choices.repeat} runs with the choices of the recorded run, which leaves the error of rounding.
 * @example
 * import { Autocast, Choices } from "@rfdetr/amp";
 * const choices = new Choices();
 * const exact = choices.record(() => model.call(images));
 * const rounded = choices.repeat(() => new Autocast("bf16-mixed").run(() => model.call(images)));
 * console.log(choices.agreement);
 * choices.dispose();
 */
export class Choices {
  #made: Choice[] = [];
  #agreement = new Map<string, ChoiceAgreement>();

  /** How far the last {@link Choices.repeat} agreed, in the order of the first calls. */
  get agreement(): ChoiceAgreement[] {
    return [...this.#agreement.values()];
  }

  /** Runs `body`, keeps its choices in place of those before, and returns its result. */
  record<T>(body: () => T): T {
    this.dispose();
    return choosingBy(body, ({ indices, ...by }) => {
      this.#made.push({ ...by, indices: indices.map((index) => keep(index.clone())) });
      return indices;
    });
  }

  /**
   * Runs `body` with the recorded choices, also on another device, and returns its result. Where it calls other
   * operators than the recorded run, or on other shapes, the choices are its own from there on.
   */
  repeat<T>(body: () => T): T {
    this.#agreement = new Map();
    let at = 0;
    return choosingBy(body, (own) => {
      const was = this.#made[at];
      if (was === undefined || nameOf(was) !== nameOf(own)) return own.indices;
      at++;
      const { path, operator } = own;
      const row = this.#agreement.get(path + operator) ?? { path, operator, places: 0, same: 0 };
      const theirs = own.indices.map((index, i) => (was.indices[i] as Tensor).to(index.device).clone());
      own.indices.forEach((index, i) => {
        row.places += index.numel;
        row.same += index
          .eq(theirs[i] as Tensor)
          .sum()
          .item();
      });
      this.#agreement.set(path + operator, row);
      return theirs;
    });
  }

  /** Frees the choices. */
  dispose(): void {
    for (const { indices } of this.#made) for (const index of indices) index.dispose();
    this.#made = [];
  }
}

const nameOf = ({ path, operator, indices }: Choice): string =>
  [path, operator, ...indices.map(({ shape }) => shape)].join(" ");

/** Runs `body`, in which the operators choose what `choose` returns for their own choice. */
function choosingBy<T>(body: () => T, choose: (own: Choice) => Tensor[]): T {
  const remove = intercept(({ op, args, module }, next) => {
    const result = next(args);
    if (!choosing.has(op.base) || isObserving()) return result;
    const results: unknown[] = [result].flat();
    const own = results.filter((x): x is Tensor => x instanceof Tensor && !x.isFloatingPoint);
    const indices = choose({ path: placeName(module?.path ?? null), operator: op.base, indices: own });
    if (indices === own) return result;
    const dim = (args[op.arguments.findIndex(({ name }) => name === "dim")] ?? -1) as number;
    const chosen = results.map((x) => {
      if (!(x instanceof Tensor)) return x;
      return indices[own.indexOf(x)] ?? (args[0] as Tensor).gather(dim, indices[0] as Tensor).to(x.dtype);
    });
    return Array.isArray(result) ? chosen : chosen[0];
  });
  try {
    return body();
  } finally {
    remove();
  }
}
