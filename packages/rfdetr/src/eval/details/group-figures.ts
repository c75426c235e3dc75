// COCO figures of groups of images, with the matching done once.

import type { CocoEvaluator } from "../coco/coco.js";
import { Accumulation } from "../coco/coco-accumulate.js";
import { ClassMatches, ImageMatcher } from "../coco/coco-matching.js";
import { IOU_50 } from "../coco/coco-parameters.js";
import { averagePrecision } from "../coco/coco-summary.js";
import { forEachClass, forEachImage } from "../coco/ordered-tables.js";
import type { IouType } from "../coco/overlaps.js";

/** Figures of the images of one group. */
export interface GroupFigures {
  /** Ground truths, crowds not counted. */
  instances: number;
  AP: number | null;
  AP50: number | null;
}

/** The matches of one class with objects of all sizes; the images of its detections and its ground truths. */
interface ClassRecord {
  score: Float64Array;
  matched: Uint16Array;
  ignored: Uint16Array;
  image: Int32Array;
  truthImage: Int32Array;
}

/**
 * Makes a function that scores any group of an evaluator's images as COCO does: the same as an evaluator that holds
 * these images alone.
 */
export function groupScorer(
  evaluator: CocoEvaluator,
  iouType: IouType = "boxes",
): (member: (image: number) => boolean) => GroupFigures {
  const records = matchClasses(evaluator, iouType);
  const limit = Math.max(...evaluator.maxDets);
  return (member) => {
    const curves = new Accumulation(records.length, [limit]);
    let instances = 0;
    records.forEach((record, label) => {
      const matches = membersOf(record, member);
      instances += matches.positives[0];
      curves.add(label, matches);
    });
    const all = records.keys();
    const labels = [...all];
    return {
      instances,
      AP: averagePrecision(curves, labels),
      AP50: averagePrecision(curves, labels, { threshold: IOU_50 }),
    };
  };
}

function matchClasses(evaluator: CocoEvaluator, iouType: IouType): ClassRecord[] {
  const tables = evaluator.ordered(iouType);
  const { truths, truthOrder, detections, detectionOrder } = tables;
  const limit = Math.max(...evaluator.maxDets);
  const matcher = new ImageMatcher();
  const matches = new ClassMatches();
  const records: ClassRecord[] = [];
  forEachClass(tables, evaluator.classNames.length, (_, rows) => {
    matches.reset(rows.dEnd - rows.dStart);
    const image = new Int32Array(rows.dEnd - rows.dStart);
    forEachImage(tables, rows, (ofImage) => {
      const first = matches.count;
      matcher.match(tables, ofImage, limit, matches);
      if (matches.count > first) image.fill(detections.image[detectionOrder[ofImage.dStart]], first, matches.count);
    });
    records.push({
      score: matches.score.slice(0, matches.count),
      matched: matches.matched.slice(0, matches.count),
      ignored: matches.ignored.slice(0, matches.count),
      image: image.slice(0, matches.count),
      truthImage: truthOrder
        .slice(rows.gStart, rows.gEnd)
        .filter((row) => truths.crowd[row] === 0)
        .map((row) => truths.image[row]),
    });
  });
  return records;
}

/** The part of a record that belongs to a group, for objects of all sizes alone. */
function membersOf(record: ClassRecord, member: (image: number) => boolean): ClassMatches {
  const matches = new ClassMatches();
  matches.reset(record.score.length);
  for (let i = 0; i < record.score.length; i++) {
    if (!member(record.image[i])) continue;
    const slot = matches.count++;
    matches.score[slot] = record.score[i];
    matches.matched[slot] = record.matched[i];
    matches.ignored[slot] = record.ignored[i];
  }
  // The other areas keep no positives, and so stay undefined.
  matches.positives[0] = record.truthImage.filter(member).length;
  return matches;
}
