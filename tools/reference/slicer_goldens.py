#!/usr/bin/env python3
"""Goldens for predicting in tiles, from InferenceSlicer of supervision 0.31.2: where tiles lie, and what is left of the
detections of all tiles.

    python tools/reference/slicer_goldens.py > packages/rfdetr/src/predict/fixtures/slicer.json

Objects are drawn at random; a tile finds the part of each that it sees, moved a little and with a score of its own.
Scores differ from each other, since the order of equal ones is not defined."""

import json

import numpy as np
import supervision as sv


def case(seed, image, size, overlap, iou):
    rng = np.random.RandomState(seed)
    width, height = image
    corners = rng.randint(0, [width - 20, height - 20], (30, 2))
    objects = np.c_[corners, np.minimum(corners + rng.randint(20, 120, (30, 2)), [width, height])]
    classes = rng.randint(0, 3, 30)
    tiles, found = [], []
    scores = iter(rng.permutation(100_000)[:20_000] / 100_000)

    def detect(tile):
        # The pixels hold where the tile lies.
        left, top = int(tile[0, 0, 0]), int(tile[0, 0, 1])
        bottom, right = np.array([top, left]) + tile.shape[:2]
        seen = np.clip(objects, [left, top, left, top], [right, bottom, right, bottom]) - [left, top, left, top]
        limits = [right - left, bottom - top] * 2
        boxes = np.clip(seen + rng.randint(-8, 9, seen.shape) * 0.25, 0, limits)
        visible = ((seen[:, 2:] - seen[:, :2]).min(1) > 8) & ((boxes[:, 2:] - boxes[:, :2]).min(1) > 0)
        detections = sv.Detections(
            xyxy=boxes[visible],
            confidence=np.array([next(scores) for _ in range(visible.sum())]),
            class_id=classes[visible],
        )
        tiles.append([left, top, int(right), int(bottom)])
        found.append(listed(detections))
        return detections

    pixels = np.zeros((height, width, 3), np.float64)
    pixels[..., 0] = np.arange(width)[None]
    pixels[..., 1] = np.arange(height)[:, None]
    slicer = sv.InferenceSlicer(detect, slice_wh=size, overlap_wh=overlap, iou_threshold=iou)
    merged = listed(slicer(pixels))
    merged.sort(key=lambda detection: -detection[4])
    return {
        **{"image": image, "size": size, "overlap": overlap, "iou": iou},
        **{"tiles": tiles, "found": found, "merged": merged},
    }


def listed(detections):
    return [
        [*box.tolist(), float(score), int(kind)]
        for box, score, kind in zip(detections.xyxy, detections.confidence, detections.class_id)
    ]


cases = [
    case(0, (500, 300), (200, 200), (40, 40), 0.5),
    case(1, (500, 300), (200, 120), (50, 30), 0.3),
    case(2, (400, 400), (200, 200), (0, 0), 0.5),
    case(3, (410, 390), (200, 200), (0, 0), 0.5),
    case(4, (150, 500), (200, 200), (100, 100), 0.7),
    case(5, (120, 90), (200, 200), (40, 40), 0.5),
    case(6, (360, 360), (200, 200), (40, 40), 0.5),
    case(7, (361, 359), (200, 200), (40, 40), 0.5),
]
print("[\n" + ",\n".join(json.dumps(item, separators=(",", ":")) for item in cases) + "\n]")
