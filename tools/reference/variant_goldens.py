"""Forward of every published variant with deterministic weights: square in float32, rectangular in float64.

python tools/reference/variant_goldens.py packages/rfdetr/src/model/parity/fixtures/variants.json
"""

import json
import logging
import os
import sys
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import numpy as np
import torch
from _fill import fill
from rfdetr import config as configs
from rfdetr.models.lwdetr import build_model_from_config

NAMES = {
    "nano": ("RFDETRNanoConfig", (224, 320)),
    "small": ("RFDETRSmallConfig", (320, 192)),
    "medium": ("RFDETRMediumConfig", (256, 352)),
    "base": ("RFDETRBaseConfig", (224, 336)),
    "large": ("RFDETRLargeConfig", (352, 256)),
}


def images(height: int, width: int) -> torch.Tensor:
    c, y, w = np.meshgrid(*map(np.arange, (3, height, width)), indexing="ij")
    waves = 1.5 * np.sin(0.05 * y * (1 + c)) + np.cos(0.083 * w + 0.5 * c)
    return torch.from_numpy(waves.astype(np.float32))[None]


def best(out: dict, digits: int) -> list:
    """The twenty queries with the largest logits: class, logit, the mean of its row, box."""
    logits, boxes = out["pred_logits"][0], out["pred_boxes"][0]
    top, labels = logits.max(-1)
    rows = []
    for i in top.argsort(descending=True)[:20].tolist():
        numbers = [top[i].item(), logits[i].mean().item(), *boxes[i].tolist()]
        rows.append([labels[i].item(), *(round(v, digits) for v in numbers)])
    return rows


golden = {}
for variant, (name, rectangle) in NAMES.items():
    config = getattr(configs, name)(device="cpu")
    model = build_model_from_config(config)
    fill(model)
    model.eval()
    with torch.no_grad():
        square = best(model(images(config.resolution, config.resolution)), 7)
        wide = best(model.double()(images(*rectangle).double()), 12)
    golden[variant] = {"rectangle": rectangle, "float32": square, "float64": wide}
with open(sys.argv[1], "w") as file:
    json.dump(golden, file)
    file.write("\n")
