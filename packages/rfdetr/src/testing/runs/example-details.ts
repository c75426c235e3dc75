// An evaluation with every field of its file, for tests of what reads it: two classes, the second without ground truth.
import { detailsVersion, type EvaluationDetails } from "../../eval/details/evaluation-details.js";
import type { ErrorCost, ErrorKind, ObjectSize } from "../../eval/error-analysis/error-kinds.js";

const points = Array.from({ length: 101 }, (_, i) => i / 100);
const rounded = (value: number): number => Math.round(value * 1000) / 1000;
const precision = points.map((t) => rounded(0.5 + t / 2));
const recall = points.map((t) => rounded(1 - t));
const none: ErrorCost = { count: 0, lost: 0 };

const costs = (given: Partial<Record<ErrorKind, ErrorCost>> = {}): Record<ErrorKind, ErrorCost> => ({
  class: none,
  localisation: none,
  both: none,
  duplicate: none,
  background: none,
  missed: none,
  ...given,
});

const bySize = (cost: ErrorCost): ErrorCost & { sizes: Record<ObjectSize, ErrorCost> } => ({
  ...cost,
  sizes: { small: cost, medium: none, large: none },
});

/** Every call makes a new one, with class names as given. */
export function exampleDetails(classNames: readonly [string, string] = ["bird", "plane"]): EvaluationDetails {
  const figures = { AP: 0.4, AP50: 0.625, AP75: 0.375, AR: 0.5 };
  const nothing = { AP: null, AP50: null, AP75: null, AR: null };
  const threshold = { threshold: 0.42, precision: 0.71, recall: 0.58, f1: 0.638 };
  const lost = { missed: { count: 2, lost: 0.125 }, background: { count: 1, lost: 0.03125 } };
  const kinds = costs(lost);
  return {
    version: detailsVersion,
    origin: { split: "valid", data: "birds", weights: null, results: null, precision: "32-true", epoch: 7 },
    images: 3,
    instances: 4,
    detections: 6,
    AP: 0.4,
    AP50: 0.625,
    AP75: 0.375,
    AP_small: 0.25,
    AP_medium: 0.5,
    AP_large: null,
    AR_small: 0.25,
    AR_medium: 0.6,
    AR_large: null,
    AR1: 0.3,
    AR10: 0.5,
    AR100: 0.5,
    per_class: [
      {
        class_id: 1,
        class_name: classNames[0],
        ...figures,
        images: 2,
        instances: 4,
        best: threshold,
        errors: kinds,
      },
      { class_id: 2, class_name: classNames[1], ...nothing, images: 0, instances: 0, best: null, errors: costs() },
    ],
    best_threshold: threshold,
    sizes: [
      { size: "small", instances: 3, AP: 0.25, AP50: 0.5, AR: 0.25 },
      { size: "medium", instances: 1, AP: 0.5, AP50: 1, AR: 0.6 },
      { size: "large", instances: 0, AP: null, AP50: null, AR: null },
    ],
    properties: [
      {
        property: "objects",
        groups: [
          { from: 0, to: 1, images: 2, instances: 1, AP: 0.5, AP50: 1 },
          { from: 3, to: 3, images: 1, instances: 3, AP: 0.25, AP50: 0.5 },
        ],
      },
    ],
    errors: {
      iou: 0.5,
      background_iou: 0.1,
      max_detections: 100,
      AP50: 0.625,
      kinds: {
        class: bySize(none),
        localisation: bySize(none),
        both: bySize(none),
        duplicate: bySize(none),
        background: bySize(kinds.background),
        missed: bySize(kinds.missed),
      },
      false_positives: { count: 1, lost: 0.03125 },
      false_negatives: { count: 2, lost: 0.25 },
      costliest: { kind: "missed", size: "small", lost: 0.125 },
    },
    curves: {
      points,
      mean: { precision_by_recall: recall, precision, recall, f1: recall },
      classes: [{ label: 0, precision_by_recall: recall, precision, recall }],
    },
    confusion: {
      confidence: 0.25,
      iou: 0.45,
      cells: [
        [0, 0, 2],
        [0, 2, 1],
        [2, 0, 2],
      ],
    },
    images_shown: [
      {
        id: 11,
        file: "birds/valid/eleven.jpg",
        width: 640,
        height: 480,
        worst: [
          { kind: "missed", rank: 1 },
          { kind: "background", rank: 1 },
        ],
        truths: [
          { box: [10, 20, 30, 44.5], label: 0, state: "found" },
          { box: [100, 120, 118, 140], label: 0, state: "missed" },
          { box: [300, 20, 318, 40], label: 0, state: "missed" },
        ],
        detections: [
          { box: [11, 20, 30.5, 44], label: 0, score: 0.9312, state: "correct", truth: 0 },
          { box: [400, 300, 460, 390], label: 0, score: 0.61, state: "background", truth: null },
        ],
      },
      {
        id: 12,
        file: null,
        width: null,
        height: null,
        worst: [],
        truths: [{ box: [50, 50, 150, 150], label: 0, state: "found" }],
        detections: [{ box: [50, 50, 150, 151.2], label: 0, score: 0.88, state: "correct", truth: 0 }],
      },
    ],
  };
}
