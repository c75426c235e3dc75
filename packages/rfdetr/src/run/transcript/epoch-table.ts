// The table of the epochs of a run: a row an epoch, with as many columns as fit.
import { fraction, hms } from "../../support/format.js";
import type { EpochEvent } from "../events/events.js";

/** A column of the table. */
interface Column {
  title: string;
  width: number;
  cell: (event: EpochEvent) => string;
}

/** A figure in at most so many characters. */
const short = (value: number, decimals: number, most = 7): string =>
  value.toFixed(decimals).length > most ? value.toExponential(1) : value.toFixed(decimals);
/** A power of two, of which a scaler may take the half again and again. */
const power = (value: number): string => (String(value).length > 8 ? value.toExponential(1) : String(value));
const loss = (value: number | undefined): string => (value === undefined ? "–" : short(value, 3));
const table: readonly Column[] = [
  { title: "step", width: 7, cell: (event) => String(event.step) },
  { title: "loss", width: 8, cell: (event) => loss(event.loss) },
  { title: "class", width: 7, cell: ({ terms }) => loss(terms.loss_ce) },
  { title: "box", width: 7, cell: ({ terms }) => loss(terms.loss_bbox) },
  { title: "giou", width: 7, cell: ({ terms }) => loss(terms.loss_giou) },
  { title: "mask", width: 7, cell: ({ terms }) => loss(terms.loss_mask_ce) },
  { title: "dice", width: 7, cell: ({ terms }) => loss(terms.loss_mask_dice) },
  { title: "val loss", width: 8, cell: ({ valLoss }) => loss(valLoss ?? undefined) },
  { title: "mask AP", width: 7, cell: ({ masks }) => fraction(masks?.ap) },
  { title: "mask AP50", width: 9, cell: ({ masks }) => fraction(masks?.ap50) },
  { title: "AP", width: 6, cell: (event) => fraction(event.ap) },
  { title: "AP50", width: 6, cell: (event) => fraction(event.ap50) },
  { title: "AP75", width: 6, cell: (event) => fraction(event.ap75) },
  { title: "lr", width: 7, cell: ({ lr }) => lr.toExponential(1) },
  { title: "scale", width: 8, cell: ({ amp }) => (amp.lossScale === null ? "–" : power(amp.lossScale)) },
  { title: "skipped", width: 8, cell: (event) => String(event.amp.skipped) },
  { title: "img/s", width: 7, cell: (event) => short(event.imagesPerSecond, 1) },
  { title: "time", width: 8, cell: (event) => hms(event.seconds + event.evaluationSeconds) },
];
/** What a narrow terminal does without, in this order. */
const dispensable = [
  "lr",
  "giou",
  "box",
  "class",
  "dice",
  "mask",
  "scale",
  "AP75",
  "img/s",
  "step",
  "val loss",
  "skipped",
  "loss",
];
/** And, where there are masks, in the end without these. */
const dispensableOfMasks = [...dispensable, "mask AP50", "AP50"];
/** Width of the column of epochs, `1/50`. */
const epochWidth = (epochs: number): number => Math.max(7, 2 * String(epochs).length + 1);

/** Stands at the end of the row of an epoch that is the best so far, once something was found. */
const bestMark = "  best";
/** Rows after which the titles are said again, since those above may have left the screen. */
const titlesEvery = 30;

/** Columns that show a single layer. */
const lossTerms: readonly string[] = ["class", "box", "giou", "mask", "dice"];

/** A row, and the titles where they are to stand above it. */
export interface EpochRow {
  /** How the loss and its terms belong together, to stand once above the titles. */
  note: string | null;
  titles: string | null;
  row: string;
  /** Says at the end of the row that the epoch is the best so far; empty for any other. */
  mark: string;
}

/** The rows of a run, one after the other. */
export class EpochTable {
  #titles: string | null = null;
  #rows = 0;
  #explained = false;

  /** A run begins: the titles are said again. */
  begin(): void {
    this.#titles = null;
  }

  /** @param width characters that the row may take, with the mark of the best; null for any number */
  row(event: EpochEvent, width: number | null): EpochRow {
    const before = epochWidth(event.epochs);
    const planned = event.plannedEpochs === null ? "" : `/${event.plannedEpochs}`;
    const absent = [
      ...(event.amp.lossScale === null ? ["scale"] : []),
      ...(event.terms.loss_mask_ce === undefined ? ["mask", "dice"] : []),
      ...(event.masks === undefined ? ["mask AP", "mask AP50"] : []),
    ];
    const order = event.masks === undefined ? dispensable : dispensableOfMasks;
    const columns = columnsWithin(width === null ? null : width - before, absent, order);
    const line = (first: string, cell: (column: Column) => string): string =>
      [first.padStart(before), ...columns.map((column) => cell(column).padStart(column.width))].join(" ");
    const terms = columns.flatMap(({ title }) => (lossTerms.includes(title) ? title : []));
    const note = this.#explained || terms.length === 0 ? null : relationOf(terms);
    this.#explained ||= note !== null;
    const titles = line("epoch", ({ title }) => title);
    const isDue = titles !== this.#titles || this.#rows % titlesEvery === 0;
    this.#rows = isDue ? 1 : this.#rows + 1;
    this.#titles = titles;
    return {
      note,
      titles: isDue ? titles : null,
      row: line(`${event.epoch}${planned}`, ({ cell }) => cell(event)),
      mark: event.best && (event.masks ?? event).ap !== 0 ? bestMark : "",
    };
  }
}

/** How the loss and its terms belong together. */
const relationOf = (terms: readonly string[]): string =>
  `The loss is the weighted sum of the terms of every decoder layer and of the query selection; ${terms.join(", ")} below ${terms.length === 1 ? "is that" : "are those"} of the last layer, without their weights`;

/** The columns that fit into a width together with the mark of the best. */
function columnsWithin(width: number | null, absent: readonly string[], order: readonly string[]): readonly Column[] {
  let columns = table.filter(({ title }) => !absent.includes(title));
  const total = (): number => columns.reduce((sum, column) => sum + 1 + column.width, bestMark.length);
  for (const title of order) {
    if (width === null || total() < width) break;
    columns = columns.filter((column) => column.title !== title);
  }
  return columns;
}
