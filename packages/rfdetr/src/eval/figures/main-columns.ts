// The columns of `metrics.csv` that say how good a model is.

/** Names of the columns of AP and AP50, and how AP is called. */
export interface MainColumns {
  AP: string;
  AP50: string;
  /** Stands before the name of a figure: nothing where there are boxes alone. */
  of: "" | "mask ";
}

const ofBoxes: MainColumns = { AP: "val/AP", AP50: "val/AP50", of: "" };
const ofMasks: MainColumns = { AP: "val/mask_AP", AP50: "val/mask_AP50", of: "mask " };

/** Those that the best weights of a run are chosen by: of masks where the run has them, otherwise of boxes. */
export const mainColumns = (columns: readonly string[]): MainColumns =>
  columns.includes(ofMasks.AP) ? ofMasks : ofBoxes;
