"""Optimizer steps of a small segmentation model of the Python package (rfdetr 1.11.2), in float64: our `seg-tiny`, with
weights, images and targets from _fill.py and the points of criterion_goldens.py.

    python tools/reference/mask_training_goldens.py
"""

import json

import torch
from _fill import out_folder, write
from criterion_goldens import Draws
from rfdetr.config import RFDETRSegNanoConfig, SegmentationTrainConfig
from training_goldens import SETTINGS, TINY, Batches, make_small, micro_batch, run

PLACE = "packages/rfdetr/src/train/parity/fixtures/mask-training.json"
MICRO_BATCHES, STEPS = 12, 6


def mask(number: int, k: int, side: int) -> torch.Tensor:
    """A square with holes."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    top, left = (5 * number + 11 * k) % 48, (3 * number + 17 * k) % 48
    inside = (y >= top) & (y < top + 40) & (x >= left) & (x < left + 40)
    return inside & (x * y % 5 > 0)


class MaskBatches(Batches):
    def __getitem__(self, index):
        images, targets = micro_batch(index, self.side, self.dtype)
        for target in targets:
            number, count = int(target["image_id"]), len(target["labels"])
            masks = [mask(number, k, self.side) for k in range(count)]
            target["masks"] = torch.stack(masks) if masks else torch.zeros(0, self.side, self.side, dtype=torch.bool)
        return images, targets


def same_points(module) -> None:
    """Every micro-batch draws the same points."""
    real = torch.rand

    def begin(*_):
        torch.rand = Draws()

    def end(*_):
        torch.rand = real

    module.criterion.register_forward_pre_hook(begin)
    module.criterion.register_forward_hook(end)


def main():
    out = out_folder(__doc__)
    make_small()
    settings = {**SETTINGS, "multi_scale": "off", "epochs": 1, "warmup_epochs": 0}
    result = run(
        torch.float64,
        "32-true",
        {**TINY, "segmentation_head": True},
        settings,
        MICRO_BATCHES,
        STEPS,
        every=3,
        configs=(RFDETRSegNanoConfig, SegmentationTrainConfig),
        batches=MaskBatches,
        prepare=same_points,
    )
    write(out, PLACE, json.dumps(result, separators=(",", ":")))


if __name__ == "__main__":
    main()
