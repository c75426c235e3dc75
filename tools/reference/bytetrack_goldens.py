#!/usr/bin/env python3
"""Goldens for tracking, from ByteTrackTracker of trackers 2.6.1: sequences of detections, and the number of the track
of each (-1: none).

    python tools/reference/bytetrack_goldens.py > packages/rfdetr/src/predict/fixtures/bytetrack.json

Objects move through a picture with changing speed, cross, leave and come back. They are missed at times, found with low
scores where they hide each other, and there are detections of nothing."""

import json

import numpy as np
import supervision as sv
import trackers


def sequence(seed, objects, frames, options):
    rng = np.random.RandomState(seed)
    centres = rng.uniform(60, 340, (objects, 2))
    speeds = rng.uniform(-6, 6, (objects, 2))
    sizes = rng.uniform(20, 60, (objects, 2))
    tracker = trackers.ByteTrackTracker(**options)
    found, numbers = [], []
    for _ in range(frames):
        speeds += rng.normal(0, 0.4, speeds.shape)
        speeds = np.where((centres < 20) | (centres > 380), np.sign(200 - centres) * np.abs(speeds), speeds)
        centres = centres + speeds
        seen = rng.uniform(size=objects) > 0.12
        places = centres[seen] + rng.normal(0, 1, (seen.sum(), 2))
        halves = sizes[seen] / 2 + rng.normal(0, 0.5, (seen.sum(), 2))
        boxes = np.c_[places - halves, places + halves]
        scores = rng.uniform(0.3, 1, seen.sum())
        if rng.uniform() < 0.3:
            corner = rng.uniform(0, 350, 2)
            boxes = np.r_[boxes, [[*corner, *(corner + rng.uniform(10, 50, 2))]]]
            scores = np.r_[scores, rng.uniform(0.1, 0.9)]
        boxes, scores = np.round(boxes * 4) / 4, np.round(scores, 3)
        if rng.uniform() < 0.05:
            boxes, scores = boxes[:0], scores[:0]
        detections = sv.Detections(xyxy=boxes.reshape(-1, 4), confidence=scores, data={"place": np.arange(len(scores))})
        tracked = tracker.update(detections)
        of = dict(zip(tracked.data.get("place", []), tracked.tracker_id))
        found.append([[*box, score] for box, score in zip(boxes.tolist(), scores.tolist())])
        numbers.append([int(of[i]) for i in range(len(scores))])
    return {"options": options, "found": found, "numbers": numbers}


sequences = [
    sequence(0, 5, 60, {}),
    sequence(1, 12, 50, {}),
    sequence(2, 6, 60, {"lost_track_buffer": 3, "minimum_consecutive_frames": 1}),
    sequence(3, 8, 50, {"track_activation_threshold": 0.5, "high_conf_det_threshold": 0.4}),
    sequence(4, 8, 50, {"minimum_iou_threshold": 0.4, "minimum_consecutive_frames": 3}),
]
print("[\n" + ",\n".join(json.dumps(item, separators=(",", ":")) for item in sequences) + "\n]")
