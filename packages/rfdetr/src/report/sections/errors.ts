// Why detections were wrong, and what each kind of error cost.
import type {
  DatasetFigures,
  EvaluationDetails,
  ImageProperty,
  PropertyDetails,
  SizeDetails,
} from "../../eval/details/evaluation-details.js";
import { type ErrorKind, errorKinds } from "../../eval/error-analysis/error-kinds.js";
import { costliestWords } from "../../eval/error-analysis/error-words.js";
import { barChart } from "../charts/draw.js";
import { figure } from "../charts/figure.js";
import { type Html, html } from "../html/html.js";
import { table } from "../html/table.js";
import { brief, fraction, grouped } from "../html/words.js";
import type { RunRecord } from "../records/run-record.js";

/** What the kinds are, in words. */
const kindWords: Readonly<Record<ErrorKind, { name: string; meaning: string }>> = {
  class: { name: "wrong class", meaning: "The box fits an object of another class." },
  localisation: { name: "inexact box", meaning: "The class is right, the box only overlaps the object." },
  both: { name: "class and box", meaning: "An object of another class is near, and the box only overlaps it." },
  duplicate: { name: "duplicate", meaning: "The object was found already, with a higher score." },
  background: { name: "nothing there", meaning: "There is no object at all." },
  missed: { name: "missed", meaning: "No detection found the object." },
};

const points = (lost: number): string => (lost * 100).toFixed(1);

/** The chapter; null without details of the evaluation. */
export function errorAnalysis({ details, evaluation }: RunRecord): Html | null {
  if (details === null || details.instances === 0) return null;
  const masks = evaluation?.masks !== undefined;
  const ofBoxes = masks ? " of boxes" : "";
  const { errors } = details;
  const rows = errorKinds.map((kind) => ({ kind, ...kindWords[kind], ...errors.kinds[kind] }));
  const tables = [
    byDataset(details.datasets ?? [], ofBoxes),
    bySize(details.sizes, ofBoxes),
    ...details.properties.map((each) => byProperty(each, ofBoxes)),
  ];
  return html`<p><b>${costliestWords(errors.costliest, masks) ?? "No error cost anything"}.</b>${ofAllSizes(errors)}${masks && " All figures of this chapter are of boxes: masks are not judged here."} Each kind is counted once for each wrong detection, or object not found; its cost is what AP50 would gain if only these were corrected, in hundredths.</p>
<div class="figures">${[
    figure({
      title: `AP50${ofBoxes} lost to each kind of error`,
      about: `Of ${fraction(errors.AP50)} that was reached.`,
      chart: barChart(
        `AP50${ofBoxes} lost: ${rows.map(({ name, lost }) => `${name} ${points(lost)}`).join(", ")}.`,
        "hundredths of AP50",
        rows.map(({ name, lost, count }) => ({
          name,
          values: [Math.max(0, lost)],
          words: [`${points(lost)}, ${grouped(count)} ×`],
        })),
      ),
      columns: [
        { title: "kind", cell: ({ name }: (typeof rows)[number]) => name },
        { title: "what it is", cell: ({ meaning }) => meaning },
        { title: "count", number: true, cell: ({ count }) => grouped(count) },
        { title: "AP50 lost", number: true, cell: ({ lost }) => points(lost) },
      ],
      rows,
    }),
    kindMeanings(),
  ]}</div>
${tables}`;
}

/** What the kind costs that costs most, where the sentence before tells of one size alone. */
function ofAllSizes({ costliest, kinds }: EvaluationDetails["errors"]): string {
  if (costliest === null || costliest.size === null) return "";
  return ` At all sizes together, such errors cost ${points(kinds[costliest.kind].lost)}.`;
}

function kindMeanings(): Html {
  return html`<dl>${errorKinds.map((kind) => html`<dt>${kindWords[kind].name}</dt><dd>${kindWords[kind].meaning}</dd>`)}</dl>`;
}

function byDataset(datasets: readonly DatasetFigures[], ofBoxes: string): Html | null {
  if (datasets.length === 0) return null;
  return table(
    `Figures${ofBoxes} by dataset`,
    [
      { title: "dataset", cell: ({ path }: DatasetFigures) => path },
      { title: "images", number: true, cell: ({ images }) => grouped(images) },
      { title: "objects", number: true, cell: ({ instances }) => grouped(instances) },
      { title: "AP", number: true, cell: ({ AP }) => fraction(AP) },
      { title: "AP50", number: true, cell: ({ AP50 }) => fraction(AP50) },
    ],
    datasets,
  );
}

function bySize(sizes: readonly SizeDetails[], ofBoxes: string): Html | null {
  if (sizes.every(({ instances }) => instances === 0)) return null;
  const words = { small: "small, up to 32² pixels", medium: "medium, up to 96² pixels", large: "large" };
  return table(
    `Figures${ofBoxes} by size of object`,
    [
      { title: "size", cell: ({ size }: SizeDetails) => words[size] },
      { title: "objects", number: true, cell: ({ instances }) => grouped(instances) },
      { title: "AP", number: true, cell: ({ AP }) => fraction(AP) },
      { title: "AP50", number: true, cell: ({ AP50 }) => fraction(AP50) },
      { title: "AR", number: true, cell: ({ AR }) => fraction(AR) },
    ],
    sizes,
  );
}

const propertyWords: Readonly<Record<ImageProperty, string>> = {
  image_size: "size of the image, pixels",
  aspect: "longer side over the shorter",
  objects: "objects in the image",
  crowding: "how much objects overlap, 0 to 1",
  brightness: "brightness of the image, 0 to 1",
};

function byProperty({ property, groups }: PropertyDetails, ofBoxes: string): Html {
  type Group = EvaluationDetails["properties"][number]["groups"][number];
  return table(
    `Figures${ofBoxes} by ${propertyWords[property]}`,
    [
      { title: "from", number: true, cell: ({ from }: Group) => brief(from) },
      { title: "to", number: true, cell: ({ to }) => brief(to) },
      { title: "images", number: true, cell: ({ images }) => grouped(images) },
      { title: "objects", number: true, cell: ({ instances }) => grouped(instances) },
      { title: "AP", number: true, cell: ({ AP }) => fraction(AP) },
      { title: "AP50", number: true, cell: ({ AP50 }) => fraction(AP50) },
    ],
    groups,
  );
}
