// Why detections were wrong, and what each kind of error cost.
import type { IouType } from "../../eval/coco/overlaps.js";
import {
  type DatasetFigures,
  type EvaluationDetails,
  type Explanation,
  type ImageProperty,
  mainDetails,
  type PropertyDetails,
  type SizeDetails,
} from "../../eval/details/evaluation-details.js";
import { type ErrorKind, errorKinds } from "../../eval/error-analysis/error-kinds.js";
import { costliestWords, kindWords } from "../../eval/error-analysis/error-words.js";
import { barChart } from "../charts/draw.js";
import { figure } from "../charts/figure.js";
import { type Html, html } from "../html/html.js";
import { type Column, table } from "../html/table.js";
import { brief, counted, fraction, grouped } from "../html/words.js";
import type { RunRecord } from "../records/run-record.js";

const points = (lost: number): string => (lost * 100).toFixed(1);

/** The chapter; null without details of the evaluation. */
export function errorAnalysis({ details }: RunRecord): Html | null {
  if (details === null || details.instances === 0) return null;
  const { masks } = details;
  const words = kindWords(masks === undefined ? "box" : "mask");
  const { errors } = mainDetails(details);
  const tables = [byDataset(details), bySize(details), ...byProperties(details)];
  return html`<p><b>${costliestWords(errors.costliest, masks && "masks") ?? "No error cost anything"}.</b>${ofAllSizes(errors)}${masks !== undefined && ofBoxes(details.errors)} ${counting(details)} What a kind costs is what AP50 would gain if only its errors were corrected, in hundredths: the gains do not add up. The kinds are those of TIDE (Bolya et al. 2020).</p>
<div class="figures">${[
    ...(masks === undefined
      ? [lostFigure(errors)]
      : [lostFigure(errors, "masks"), lostFigure(details.errors, "boxes")]),
    html`<dl>${errorKinds.map((kind) => html`<dt>${words[kind].name}</dt><dd>${words[kind].meaning}</dd>`)}</dl>`,
  ]}</div>
${tables}`;
}

/** What is counted: there may be many times as many wrong detections as objects. */
const counting = ({ instances, images, errors }: EvaluationDetails): string =>
  `Missed objects are counted of ${counted(instances, "object")} in ${counted(images, "image")}; all other errors are detections, of which the best ${grouped(errors.max_detections)} of each image count, whatever their score.`;

/** What is counted of a kind. */
const errorCount = (kind: ErrorKind, count: number): string =>
  counted(count, kind === "missed" ? "object" : "detection");

/** What costs most by boxes, beside masks. */
const ofBoxes = ({ costliest }: Explanation["errors"]): string =>
  costliest === null ? "" : ` ${costliestWords(costliest, "boxes")}.`;

/** @param of whether boxes or masks are judged, where there are both */
function lostFigure({ kinds, AP50 }: Explanation["errors"], of?: IouType): Html {
  const words = kindWords(of === "masks" ? "mask" : "box");
  const whose = of === undefined ? "" : ` of ${of}`;
  const rows = errorKinds.map((kind) => ({ kind, ...words[kind], ...kinds[kind] }));
  return figure({
    title: `AP50${whose} lost to each kind of error`,
    about: `What AP50, which is ${fraction(AP50)}, would gain if the errors of one kind alone were corrected.`,
    chart: barChart(
      `AP50${whose} lost: ${rows.map(({ name, lost }) => `${name} ${points(lost)}`).join(", ")}.`,
      "hundredths of AP50",
      rows.map(({ kind, name, lost, count }) => ({
        name,
        values: [Math.max(0, lost)],
        words: [`${points(lost)}, ${errorCount(kind, count)}`],
      })),
    ),
    columns: [
      { title: "kind", cell: ({ name }: (typeof rows)[number]) => name },
      { title: "what it is", cell: ({ meaning }) => meaning },
      { title: "count", number: true, cell: ({ kind, count }) => errorCount(kind, count) },
      { title: "AP50 lost", number: true, cell: ({ lost }) => points(lost) },
    ],
    rows,
  });
}

/** What the kind costs that costs most, where the sentence before tells of one size alone. */
function ofAllSizes({ costliest, kinds }: EvaluationDetails["errors"]): string {
  if (costliest === null || costliest.size === null) return "";
  return ` At all sizes together, such errors cost ${points(kinds[costliest.kind].lost)}.`;
}

/** Figures of a group: those of masks where there are some, then the AP of its boxes. */
type Grouped<T> = T & { boxes?: { AP: number | null } };

/** The groups of the figures that are shown, with those of the boxes beside them. */
function withBoxes<T extends { AP: number | null }>(
  { masks, ...boxes }: EvaluationDetails,
  groupsOf: (of: Explanation) => readonly T[],
): Grouped<T>[] {
  const other = groupsOf(boxes);
  return masks === undefined ? [...other] : groupsOf(masks).map((each, i) => ({ ...each, boxes: other[i] }));
}

/** The columns of figures. @param AR whether the groups have one */
function figureColumns<T extends { AP: number | null; AP50: number | null; AR?: number | null }>(
  { masks }: EvaluationDetails,
  AR = false,
): Column<Grouped<T>>[] {
  const of = masks === undefined ? "" : "mask ";
  return [
    { title: `${of}AP`, number: true, cell: ({ AP }) => fraction(AP) },
    { title: `${of}AP50`, number: true, cell: ({ AP50 }) => fraction(AP50) },
    ...(AR ? [{ title: `${of}AR`, number: true, cell: ({ AR }: T) => fraction(AR) }] : []),
    ...(of === "" ? [] : [{ title: "box AP", number: true, cell: ({ boxes }: Grouped<T>) => fraction(boxes?.AP) }]),
  ];
}

function byDataset(details: EvaluationDetails): Html | null {
  const datasets = withBoxes(details, (of) => of.datasets ?? []);
  if (datasets.length === 0) return null;
  return table(
    "Figures by dataset",
    [
      { title: "dataset", cell: ({ path }: DatasetFigures) => path },
      { title: "images", number: true, cell: ({ images }) => grouped(images) },
      { title: "objects", number: true, cell: ({ instances }) => grouped(instances) },
      ...figureColumns<DatasetFigures>(details),
    ],
    datasets,
  );
}

function bySize(details: EvaluationDetails): Html | null {
  const sizes = withBoxes(details, (of) => of.sizes);
  if (sizes.every(({ instances }) => instances === 0)) return null;
  const words = { small: "small, up to 32² pixels", medium: "medium, up to 96² pixels", large: "large" };
  return table(
    "Figures by size of object",
    [
      { title: "size, by annotated area", cell: ({ size }: SizeDetails) => words[size] },
      { title: "objects", number: true, cell: ({ instances }) => grouped(instances) },
      ...figureColumns<SizeDetails>(details, true),
    ],
    sizes,
  );
}

const propertyWords: Readonly<Record<ImageProperty, string>> = {
  image_size: "size of the image: the root of its area, pixels",
  aspect: "longer side over the shorter",
  objects: "objects in the image",
  crowding: "how much objects overlap, 0 to 1",
  brightness: "brightness of the image, 0 to 1",
};

/** A table for each property; images are grouped alike for masks and boxes. */
function byProperties(details: EvaluationDetails): Html[] {
  type Group = PropertyDetails["groups"][number];
  return mainDetails(details).properties.map(({ property }, i) =>
    table(
      `Figures by ${propertyWords[property]}`,
      [
        { title: "from", number: true, cell: ({ from }: Group) => brief(from) },
        { title: "to", number: true, cell: ({ to }) => brief(to) },
        { title: "images", number: true, cell: ({ images }) => grouped(images) },
        { title: "objects", number: true, cell: ({ instances }) => grouped(instances) },
        ...figureColumns<Group>(details),
      ],
      withBoxes(details, (of) => of.properties[i]?.groups ?? []),
    ),
  );
}
