"""Goldens of matching, losses and their gradients from the Python package, on cases that the published toy numbers do
not pass.

Run in an environment with `rfdetr[train]==1.11.2`:
    python tools/reference/criterion_goldens.py packages/rfdetr/src/loss/fixtures/criterion.json
"""

import json
import math
import sys

import numpy as np
import rfdetr.models.criterion as criterion_module
import rfdetr.models.matcher as matcher_module
import torch
from _fill import uniforms
from rfdetr.models.criterion import SetCriterion
from rfdetr.models.matcher import HungarianMatcher

KINDS = {
    "ia_bce": {"ia_bce_loss": True},
    "position": {"use_position_supervised_loss": True},
    "varifocal": {"use_varifocal_loss": True},
    "focal": {},
}
# counts: targets of each image; rows: queries of the decoder layers and of the selection, all groups together.
CASES = [
    {"name": "several layers", "counts": [3, 5], "rows": 24, "selected": 24, "classes": 6, "groups": 3, "aux": 2},
    {
        "name": "an image without targets",
        "counts": [4, 0, 2],
        "rows": 12,
        "selected": 12,
        "classes": 4,
        "groups": 2,
        "aux": 1,
    },
    {
        "name": "more targets than queries",
        "counts": [9, 2],
        "rows": 8,
        "selected": 8,
        "classes": 3,
        "groups": 2,
        "aux": 1,
    },
    {
        "name": "a selection with fewer rows",
        "counts": [4, 6],
        "rows": 20,
        "selected": 12,
        "classes": 5,
        "groups": 2,
        "aux": 1,
    },
    {"name": "no targets at all", "counts": [0, 0], "rows": 6, "selected": 6, "classes": 3, "groups": 2, "aux": 1},
]
# masks: the features' depth, height and width, pixels for each point, and the size of the true masks.
MASKS = {"depth": 5, "height": 16, "width": 12, "ratio": 16, "size": [40, 56]}
MASK_CASES = [
    {**CASES[0], "name": "masks", "masks": MASKS},
    {**CASES[1], "name": "masks, and an image without targets", "masks": {**MASKS, "ratio": 5}},
    {**CASES[2], "name": "masks, and more targets than queries", "masks": MASKS},
    {**CASES[3], "name": "masks, and a selection with fewer rows", "masks": {**MASKS, "size": [9, 7]}},
    {**CASES[4], "name": "masks, and no targets at all", "masks": MASKS},
]


class Draws:
    """Stands in for `torch.rand`: the points depend on how many each mask gets and on how often as many were drawn."""

    def __init__(self) -> None:
        self.made: dict[int, int] = {}

    def __call__(self, *shape: int, **_: object) -> torch.Tensor:
        count = shape[1]
        number = self.made[count] = self.made.get(count, -1) + 1
        return rounded((uniforms(f"points {count} {number}", math.prod(shape)) + 1) / 2, list(shape))


real_point_sample = criterion_module.point_sample
# The package samples the true masks in float32, and points and maps must have one dtype.
criterion_module.point_sample = matcher_module.point_sample = lambda maps, points, **rest: real_point_sample(
    maps.double(), points, **rest
)


def rounded(values: np.ndarray, shape: list[int]) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float32)).reshape(shape).double()


def prediction(key: str, batch: int, rows: int, classes: int, masks: dict | None) -> dict:
    logits = rounded(3 * uniforms(f"{key}.logits", batch * rows * classes) - 1, [batch, rows, classes])
    boxes = rounded((uniforms(f"{key}.boxes", batch * rows * 4) + 1.2) / 3, [batch, rows, 4])
    made = {"pred_logits": logits.requires_grad_(), "pred_boxes": boxes.requires_grad_()}
    if masks is not None:
        shapes = {
            "spatial_features": [batch, masks["depth"], masks["height"], masks["width"]],
            "query_features": [batch, rows, masks["depth"]],
            "bias": [1],
        }
        made["pred_masks"] = {
            name: rounded(2 * uniforms(f"{key}.{name}", math.prod(shape)), shape).requires_grad_()
            for name, shape in shapes.items()
        }
    return made


def mask_goldens(matcher: HungarianMatcher, outputs: dict, targets: list[dict], groups: int) -> dict:
    """Mask costs of the last layer between queries and targets of one image, and the matches."""
    torch.rand = Draws()
    ce, dice = matcher._compute_mask_costs(outputs, targets)
    counts = [len(target["labels"]) for target in targets]
    rows = ce.shape[0] // len(counts)
    own = []
    for image in range(len(counts)):
        for cost in (ce, dice):
            block = cost[image * rows : (image + 1) * rows, sum(counts[:image]) : sum(counts[: image + 1])].detach()
            probe = torch.from_numpy(uniforms("probe", block.numel()))
            own.append([float(block.norm()), float((block.flatten() * probe).sum())])
    torch.rand = Draws()
    matches = matcher(outputs, targets, group_detr=groups)
    return {"mask_costs": own, "matches": [[queries.tolist(), own.tolist()] for queries, own in matches]}


def run(case: dict, kind: str) -> dict:
    batch, classes, groups = len(case["counts"]), case["classes"], case["groups"]
    masks = case.get("masks")
    outputs = prediction("last", batch, case["rows"], classes, masks)
    outputs["aux_outputs"] = [prediction(f"aux{i}", batch, case["rows"], classes, masks) for i in range(case["aux"])]
    outputs["enc_outputs"] = prediction("enc", batch, case["selected"], classes, masks)
    targets = [
        {
            "labels": torch.tensor([(7 * k + 3 * b + 1) % classes for k in range(n)], dtype=torch.int64),
            "boxes": rounded((uniforms(f"target{b}", n * 4) + 1.5) / 4, [n, 4]),
        }
        for b, n in enumerate(case["counts"])
    ]
    weights = {"loss_ce": 1.0, "loss_bbox": 5.0, "loss_giou": 2.0, "loss_mask_ce": 5.0, "loss_mask_dice": 5.0}
    matcher = HungarianMatcher(cost_class=2, cost_bbox=5, cost_giou=2)
    losses, options, more = ["labels", "boxes", "cardinality"], KINDS[kind], {}
    if masks is not None:
        height, width = masks["size"]
        for b, target in enumerate(targets):
            n = len(target["labels"])
            target["masks"] = torch.from_numpy(uniforms(f"mask{b}", n * height * width) > 0.2).view(n, height, width)
        matcher = HungarianMatcher(2, 5, 2, mask_point_sample_ratio=masks["ratio"], cost_mask_ce=5, cost_mask_dice=5)
        losses, options = [*losses, "masks"], {**options, "mask_point_sample_ratio": masks["ratio"]}
        more = mask_goldens(matcher, outputs, targets, groups)
        torch.rand = Draws()
    criterion = SetCriterion(classes, matcher, weights, 0.25, losses, group_detr=groups, **options)
    criterion.train()
    terms = criterion(outputs, targets)
    total = sum(
        v * weights[k.split("_enc")[0].rstrip("0123456789").rstrip("_")]
        for k, v in terms.items()
        if k.startswith("loss")
    )
    leaves = [outputs, *outputs["aux_outputs"], outputs["enc_outputs"]]
    tensors = [
        tensor
        for layer in leaves
        for tensor in (layer["pred_logits"], layer["pred_boxes"], *layer.get("pred_masks", {}).values())
    ]
    gradients = torch.autograd.grad(total, tensors, allow_unused=True)
    return {
        **case,
        "kind": kind,
        **more,
        "terms": {k: float(v) for k, v in terms.items()},
        "total": float(total.detach()),
        "gradient_norms": [0.0 if g is None else float(g.norm()) for g in gradients],
        # A second projection, which sees signs and places that a norm does not.
        "gradient_sums": [
            0.0 if g is None else float((g.flatten() * torch.from_numpy(uniforms("probe", math.prod(g.shape)))).sum())
            for g in gradients
        ],
    }


if __name__ == "__main__":
    with open(sys.argv[1], "w") as file:
        goldens = [run(case, kind) for case in CASES for kind in KINDS]
        json.dump([*goldens, *(run(case, "ia_bce") for case in MASK_CASES)], file, indent=1)
        file.write("\n")
