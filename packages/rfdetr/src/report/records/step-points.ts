// A course of steps of any length in little memory: at most so many points, each with the extremes of its steps.

/** The course of one figure: an entry for each point, NaN where no step of the point has a finite value. */
export interface Course {
  min: number[];
  max: number[];
  mean: number[];
  /** The value of the last step of the point that has a finite one. */
  last: number[];
}

/** The steps of a run, thinned to points of equally many steps. */
export interface StepPoints {
  /** Steps that one point covers at most. */
  width: number;
  /** The first and the last step of each point, ascending. */
  first: number[];
  last: number[];
  /** Records in each point. A step that a run did twice, after a rollback, counts twice. */
  records: number[];
  /** Skipped steps of each point. */
  skipped: number[];
  /**
   * By the name of the figure in the record, such as `loss`; figures in groups have both names, such as
   * `memory.peak_bytes`.
   */
  courses: Record<string, Course>;
}

/** The mean of a figure over all records; null where none has a finite value. */
export function meanOf({ records, courses }: StepPoints, name: string): number | null {
  let [sum, count] = [0, 0];
  courses[name]?.mean.forEach((mean, i) => {
    if (!Number.isFinite(mean)) return;
    sum += mean * records[i];
    count += records[i];
  });
  return count === 0 ? null : sum / count;
}

/** The largest value of a figure; null where none is finite. */
export function mostOf({ courses }: StepPoints, name: string): number | null {
  const values = (courses[name]?.max ?? []).filter(Number.isFinite);
  return values.length === 0 ? null : values.reduce((a, b) => Math.max(a, b));
}

interface Values {
  min: number;
  max: number;
  sum: number;
  count: number;
  last: number;
}

interface Point {
  first: number;
  last: number;
  records: number;
  skipped: number;
  values: Map<string, Values>;
}

/** Names of figures that are followed; a record with more is damaged. */
const mostCourses = 64;

/** Collects steps into points. When there are too many points, each two neighbours become one. */
export class PointCollector {
  readonly #most: number;
  readonly #names = new Set<string>();
  #width = 1;
  #points = new Map<number, Point>();

  /** @param most points that are kept at most, 2 or more */
  constructor(most: number) {
    this.#most = Math.max(2, most);
  }

  /** @param figures numbers by name; those that are not finite count as a step without a value */
  add(step: number, skipped: boolean, figures: Iterable<readonly [string, number]>): void {
    const point = this.#pointOf(step);
    point.first = Math.min(point.first, step);
    point.last = Math.max(point.last, step);
    point.records++;
    if (skipped) point.skipped++;
    for (const [name, value] of figures) {
      if (!this.#names.has(name)) {
        if (this.#names.size >= mostCourses) continue;
        this.#names.add(name);
      }
      if (!Number.isFinite(value)) continue;
      const seen = point.values.get(name);
      if (seen === undefined) point.values.set(name, { min: value, max: value, sum: value, count: 1, last: value });
      else addValues(seen, { min: value, max: value, sum: value, count: 1, last: value });
    }
    while (this.#points.size > this.#most) this.#halve();
  }

  points(): StepPoints {
    const sorted = [...this.#points.values()].sort((a, b) => a.first - b.first);
    const courseOf = (name: string): Course => {
      const values = sorted.map((point) => point.values.get(name));
      return {
        min: values.map((value) => value?.min ?? Number.NaN),
        max: values.map((value) => value?.max ?? Number.NaN),
        mean: values.map((value) => (value === undefined ? Number.NaN : value.sum / value.count)),
        last: values.map((value) => value?.last ?? Number.NaN),
      };
    };
    return {
      width: this.#width,
      first: sorted.map(({ first }) => first),
      last: sorted.map(({ last }) => last),
      records: sorted.map(({ records }) => records),
      skipped: sorted.map(({ skipped }) => skipped),
      courses: Object.fromEntries([...this.#names].map((name) => [name, courseOf(name)])),
    };
  }

  #pointOf(step: number): Point {
    const place = Math.floor((step - 1) / this.#width);
    const found = this.#points.get(place);
    if (found !== undefined) return found;
    const point = { first: step, last: step, records: 0, skipped: 0, values: new Map() };
    this.#points.set(place, point);
    return point;
  }

  #halve(): void {
    const halved = new Map<number, Point>();
    this.#width *= 2;
    for (const [place, point] of [...this.#points].sort(([a], [b]) => a - b)) {
      const into = halved.get(Math.floor(place / 2));
      if (into === undefined) halved.set(Math.floor(place / 2), point);
      else addPoint(into, point);
    }
    this.#points = halved;
  }
}

/** @param later a point of later steps */
function addPoint(into: Point, later: Point): void {
  into.last = later.last;
  into.records += later.records;
  into.skipped += later.skipped;
  for (const [name, values] of later.values) {
    const seen = into.values.get(name);
    if (seen === undefined) into.values.set(name, values);
    else addValues(seen, values);
  }
}

function addValues(into: Values, later: Values): void {
  into.min = Math.min(into.min, later.min);
  into.max = Math.max(into.max, later.max);
  into.sum += later.sum;
  into.count += later.count;
  into.last = later.last;
}

/** What a line over points is: the figure where each step has a point of its own, otherwise the mean of steps. */
export const ofPoints = ({ width }: Pick<StepPoints, "width">, figure: string): string =>
  width > 1 ? `mean of ${width} steps` : figure;
