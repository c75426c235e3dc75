"""Goldens of augmentations from Albumentations, which the Python package passes its `aug_config` to. Every parameter
is one value, not a range, so that nothing is random.

Run in an environment with `albumentations==2.0.8`:
    python tools/reference/augmentation_goldens.py packages/rfdetr/src/data/augment/fixtures/augmentation.json
"""

import base64
import json
import sys

import albumentations as A
import numpy as np

WIDTH, HEIGHT = 24, 20
BOXES = [[2, 3, 10, 9], [15.5, 1, 24, 8.25], [0, 12, 5, 20], [8, 8, 20, 18]]

CASES = [
    {"HorizontalFlip": {"p": 1}},
    {"VerticalFlip": {"p": 1}},
    {"Transpose": {"p": 1}},
    {"Rotate": {"limit": [30, 30], "p": 1}},
    {"Rotate": {"limit": [-30, -30], "p": 1}},
    {"Rotate": {"limit": [90, 90], "p": 1}},
    {"Affine": {"scale": [0.8, 0.8], "p": 1}},
    {"Affine": {"scale": {"x": [1.2, 1.2]}, "rotate": 10.0, "p": 1}},
    {"Affine": {"translate_percent": [0.1, 0.1], "p": 1}},
    {"Affine": {"translate_percent": {"x": 0.13, "y": -0.17}, "p": 1}},
    {"Affine": {"translate_px": {"x": [3, 3], "y": [-2, -2]}, "p": 1}},
    {"Affine": {"shear": [5, 5], "p": 1}},
    {"Affine": {"shear": {"x": [12, 12]}, "rotate": [-20, -20], "scale": {"x": [0.9, 0.9], "y": [1.3, 1.3]}, "p": 1}},
    {"ShiftScaleRotate": {"shift_limit": [0.1, 0.1], "scale_limit": [0.2, 0.2], "rotate_limit": [15, 15], "p": 1}},
    {"RandomBrightnessContrast": {"brightness_limit": [0.1, 0.1], "contrast_limit": [-0.2, -0.2], "p": 1}},
    {
        "RandomBrightnessContrast": {
            "brightness_limit": [-0.2, -0.2],
            "contrast_limit": [0.3, 0.3],
            "brightness_by_max": False,
            "p": 1,
        }
    },
    {"ColorJitter": {"brightness": [1.2, 1.2], "contrast": [1, 1], "saturation": [1, 1], "hue": [0, 0], "p": 1}},
    {"ColorJitter": {"brightness": [1, 1], "contrast": [0.7, 0.7], "saturation": [1, 1], "hue": [0, 0], "p": 1}},
    {"ColorJitter": {"brightness": [1, 1], "contrast": [1, 1], "saturation": [1.4, 1.4], "hue": [0, 0], "p": 1}},
    {"ColorJitter": {"brightness": [1, 1], "contrast": [1, 1], "saturation": [1, 1], "hue": [0.1, 0.1], "p": 1}},
    {"ColorJitter": {"brightness": [1, 1], "contrast": [1, 1], "saturation": [1, 1], "hue": [-0.3, -0.3], "p": 1}},
    {
        "HueSaturationValue": {
            "hue_shift_limit": [12, 12],
            "sat_shift_limit": [-30, -30],
            "val_shift_limit": [15, 15],
            "p": 1,
        }
    },
    {"ToGray": {"p": 1}},
    {"GaussianBlur": {"blur_limit": [3, 3], "sigma_limit": [1.2, 1.2], "p": 1}},
    {"GaussianBlur": {"blur_limit": [0, 0], "sigma_limit": [2, 2], "p": 1}},
    {"GaussianBlur": {"blur_limit": [2, 2], "sigma_limit": [0.6, 0.6], "p": 1}},
]


def picture() -> np.ndarray:
    """Smooth, so that the fixed-point steps of a warp between two pixels stay small, and colourful."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    channels = [127.5 + 110 * np.sin(x / 6 + c) * np.cos(y / 5 - 2 * c) for c in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def masks() -> list[np.ndarray]:
    """An object of a round edge for each box, which fills it."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    made = []
    for left, top, right, bottom in BOXES:
        across = (2 * x - left - right) / (right - left)
        down = (2 * y - top - bottom) / (bottom - top)
        made.append((across**2 + down**2 <= 1).astype(np.uint8))
    return made


def bits(mask) -> str:
    return base64.b64encode(np.packbits(mask).tobytes()).decode()


def tuples(value):
    if isinstance(value, list):
        return tuple(value)
    return {k: tuples(v) for k, v in value.items()} if isinstance(value, dict) else value


cases = []
for config in CASES:
    ((name, parameters),) = config.items()
    step = getattr(A, name)(**{key: tuples(v) for key, v in parameters.items()})
    run = A.Compose([step], bbox_params=A.BboxParams(format="pascal_voc", label_fields=["ids"], clip=True))
    made = run(image=picture(), masks=masks(), bboxes=np.array(BOXES, dtype=np.float32), ids=np.arange(len(BOXES)))
    cases.append(
        {
            "config": config,
            "width": made["image"].shape[1],
            "height": made["image"].shape[0],
            "boxes": [[round(float(c), 4) for c in box] for box in made["bboxes"]],
            "labels": [int(i) for i in made["ids"]],
            "masks": [bits(made["masks"][int(i)]) for i in made["ids"]],
            "bytes": base64.b64encode(made["image"].tobytes()).decode(),
        }
    )
source = {
    "width": WIDTH,
    "height": HEIGHT,
    "boxes": BOXES,
    "masks": [bits(mask) for mask in masks()],
    "bytes": base64.b64encode(picture().tobytes()).decode(),
}
json.dump({"source": source, "cases": cases}, open(sys.argv[1], "w"), indent=1)
