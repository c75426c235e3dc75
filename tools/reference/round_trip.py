"""The Python package's side of round-trip.mjs: makes a random model, or predicts with a checkpoint.

round_trip.py make OUT.pth CLASS_NAMES_JSON   saves a random RFDETRNano whose scores spread, as the package does
round_trip.py predict IN.pth IMAGE OUT.json   from_checkpoint (its safe loader), predict, best of the raw outputs
"""

import json
import logging
import os
import sys
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import torch


def make(out, names):
    from rfdetr.config import RFDETRNanoConfig, TrainConfig
    from rfdetr.training import RFDETRModelModule

    torch.manual_seed(0)
    config = RFDETRNanoConfig(pretrain_weights=None, num_classes=len(names))
    train = TrainConfig(dataset_dir=".", output_dir=".", class_names=names)
    model = RFDETRModelModule(config, train).model
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    payload = {
        "model": model.state_dict(),
        "args": train.model_dump(),
        "model_name": "RFDETRNano",
        "model_config": config.model_dump(),
        "epoch": 0,
    }
    torch.save(payload, out)


def predict(path, image, out):
    from PIL import Image
    from rfdetr import RFDETR

    model = RFDETR.from_checkpoint(path)
    found = model.predict(Image.open(image).convert("RGB"), threshold=0.0)
    rows = [
        {"box": [float(v) for v in box], "score": float(score), "class_id": int(label)}
        for box, score, label in zip(found.xyxy, found.confidence, found.class_id)
    ]
    with open(out, "w") as file:
        json.dump(rows[:100], file)


if sys.argv[1] == "make":
    make(sys.argv[2], json.loads(sys.argv[3]))
else:
    predict(*sys.argv[2:5])
