"""Masks as pycocotools makes them: polygons filled, bits packed into runs, areas and boxes.

python tools/reference/masks_goldens.py packages/rfdetr/src/masks/fixtures/masks.json
"""

import json
import sys

import numpy as np
from pycocotools import mask as coco

rng = np.random.default_rng(0)


def union(polygons, height, width):
    return coco.merge(coco.frPyObjects(polygons, height, width))


def described(runs):
    return {
        "size": runs["size"],
        "counts": runs["counts"].decode(),
        "area": int(coco.area(runs)),
        "box": [float(v) for v in coco.toBbox(runs)],
    }


def polygon(height, width):
    """A random polygon; many leave the image, cross themselves, or have points that lie upon each other."""
    n = int(rng.integers(3, 9))
    spread = rng.choice([0.6, 1, 2.5])
    points = (rng.random((n, 2)) - 0.5) * spread * [width, height] + [width / 2, height / 2]
    kind = rng.integers(0, 5)
    if kind == 0:
        points = np.round(points)
    elif kind == 1:
        points = np.round(points * 5) / 5 + 0.1
    elif kind == 2:
        points = np.round(points, 2)
    elif kind == 3:
        points[1] = points[0]
    return [round(float(v), 6) for v in points.flatten()]


shapes = [
    ([[3, 2, 3, 8, 9, 8, 9, 2]], 12, 12),
    ([[2.5, 2.5, 2.5, 2.5, 2.5, 2.5]], 6, 5),
    ([[0, 0, 5, 5, 9, 9]], 10, 10),
    ([[-4, -4, 20, -4, 20, 20, -4, 20]], 7, 9),
    ([[30, 30, 40, 30, 40, 40]], 7, 9),
    ([[0, 0, 10, 10, 10, 0, 0, 10]], 11, 11),
    ([[1, 1, 4, 1, 4, 4, 1, 4], [3, 3, 8, 3, 8, 8, 3, 8]], 10, 10),
    ([[0, 0, 8, 0, 8, 8, 0, 8], [2, 2, 6, 2, 6, 6, 2, 6]], 8, 8),
    ([[-1e4, 3, 1e4, 3.5, 1e4, 6]], 9, 9),
    ([[3, -1e4, 3.7, 1e4, 6, 0]], 9, 9),
    ([[0.4, 0, 0.4, 9, 0.6, 9, 0.6, 0]], 9, 3),
]
for _ in range(120):
    height, width = (int(v) for v in rng.integers(1, 40, 2))
    shapes.append(([polygon(height, width) for _ in range(int(rng.integers(1, 4)))], height, width))

polygons = [{"polygons": p, **described(union(p, h, w))} for p, h, w in shapes]

bits = []
for _ in range(40):
    height, width = (int(v) for v in rng.integers(1, 24, 2))
    values = (rng.random((height, width)) < rng.choice([0, 0.05, 0.5, 0.95, 1])).astype(np.uint8)
    runs = coco.encode(np.asfortranarray(values))
    assert (coco.decode(runs) == values).all()
    bits.append({"bits": "".join(str(v) for v in values.flatten()), **described(runs)})
# Long runs take several characters, and their differences are negative.
values = np.zeros((300, 400), np.uint8)
values[10:250, 30:350] = 1
values[100:104, 60:70] = 0
large = described(coco.encode(np.asfortranarray(values)))

with open(sys.argv[1], "w") as file:
    json.dump({"polygons": polygons, "bits": bits, "large": large}, file, separators=(",", ":"))
    file.write("\n")
