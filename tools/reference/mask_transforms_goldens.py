"""Masks of a training image as the Python package has them after its transforms: polygons to pixels, resized, cut out,
resized again, flipped.

python tools/reference/mask_transforms_goldens.py packages/rfdetr/src/data/images/fixtures/mask-transforms.json
"""

import json
import sys

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as coco
from rfdetr.datasets._torchvision import RandomHorizontalFlip, Resize, crop
from rfdetr.datasets.coco import convert_coco_poly_to_mask

rng = np.random.default_rng(3)


def runs(masks):
    return [coco.encode(np.asfortranarray(mask.numpy().astype(np.uint8)))["counts"].decode() for mask in masks]


cases = []
for width, height, resized, window, side, flip in [
    (64, 48, None, None, 32, 0),
    (64, 48, None, None, 56, 1),
    (50, 37, (81, 60), (10, 5, 45), 28, 0),
    (37, 91, (40, 98), (2, 60, 38), 48, 1),
    (120, 80, (60, 40), (21, 0, 39), 33, 0),
    (90, 60, (90, 60), (60, 20, 30), 30, 1),
]:
    centres = rng.random((4, 1, 2)) * [width, height]
    points = centres + (rng.random((4, 7, 2)) - 0.5) * [width * 0.7, height * 0.7]
    polygons = [[[round(float(v), 2) for v in object.flatten()]] for object in points]
    masks = convert_coco_poly_to_mask(polygons, height, width).bool()
    boxes = []
    for (polygon,) in polygons:
        xs, ys = np.clip(polygon[0::2], 0, width), np.clip(polygon[1::2], 0, height)
        boxes.append([float(v) for v in (xs.min(), ys.min(), xs.max(), ys.max())])
    target = {
        "boxes": torch.tensor(boxes),
        "labels": torch.arange(4),
        "masks": masks,
        "area": torch.ones(4),
        "iscrowd": torch.zeros(4),
    }
    image = Image.new("RGB", (width, height))
    if resized is not None:
        image, target = Resize((resized[1], resized[0]))(image, target)
        left, top, cut = window
        image, target = crop(image, target, top, left, cut, cut)
    image, target = Resize((side, side))(image, target)
    image, target = RandomHorizontalFlip(p=flip)(image, target)
    cases.append(
        {
            "width": width,
            "height": height,
            "polygons": [polygon for (polygon,) in polygons],
            "boxes": boxes,
            "resized": resized,
            "window": window,
            "side": side,
            "flip": flip,
            "labels": target["labels"].tolist(),
            "masks": runs(target["masks"]),
        }
    )

with open(sys.argv[1], "w") as file:
    json.dump(cases, file, separators=(",", ":"))
    file.write("\n")
