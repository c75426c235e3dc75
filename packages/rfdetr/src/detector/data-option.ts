// The option `data` of trainings.
import { type GivenData, isGivenData } from "../data/own/data-path.js";
import { type OptionKind, text } from "../support/options.js";

/** A path, a dataset of the program, or several datasets. */
export const trainingData: OptionKind = {
  takes: "a folder, { train, valid } or a list of { path, share }",
  fits: (value) => text.fits(value) || isGivenData(value),
};

/** Data that are not named by a path, as an option of a run. */
export const dataGiven = (data: string | GivenData | undefined): { data?: GivenData } =>
  typeof data === "object" ? { data } : {};
