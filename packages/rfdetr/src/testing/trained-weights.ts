// The training that weights of tests say they had.
import type { Precision } from "@rfdetr/amp";
import { type TrainedPrecision, unknownTraining } from "../weights/trained-precision.js";

/** A training in a precision, with its usual rules. */
export const trainedIn = (precision: Precision): TrainedPrecision => ({ ...unknownTraining, precision });
