"""Goldens of matching, losses and their gradients from the Python package, on cases that the published toy numbers do
not pass.

Run in an environment with `rfdetr[train]==1.11.2`:
    python tools/reference/criterion_goldens.py packages/rfdetr/src/loss/fixtures/criterion.json
"""

import json
import math
import sys

import numpy as np
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


def rounded(values: np.ndarray, shape: list[int]) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float32)).reshape(shape).double()


def prediction(key: str, batch: int, rows: int, classes: int) -> dict[str, torch.Tensor]:
    logits = rounded(3 * uniforms(f"{key}.logits", batch * rows * classes) - 1, [batch, rows, classes])
    boxes = rounded((uniforms(f"{key}.boxes", batch * rows * 4) + 1.2) / 3, [batch, rows, 4])
    return {"pred_logits": logits.requires_grad_(), "pred_boxes": boxes.requires_grad_()}


def run(case: dict, kind: str) -> dict:
    batch, classes, groups = len(case["counts"]), case["classes"], case["groups"]
    outputs = prediction("last", batch, case["rows"], classes)
    outputs["aux_outputs"] = [prediction(f"aux{i}", batch, case["rows"], classes) for i in range(case["aux"])]
    outputs["enc_outputs"] = prediction("enc", batch, case["selected"], classes)
    targets = [
        {
            "labels": torch.tensor([(7 * k + 3 * b + 1) % classes for k in range(n)], dtype=torch.int64),
            "boxes": rounded((uniforms(f"target{b}", n * 4) + 1.5) / 4, [n, 4]),
        }
        for b, n in enumerate(case["counts"])
    ]
    weights = {"loss_ce": 1.0, "loss_bbox": 5.0, "loss_giou": 2.0}
    matcher = HungarianMatcher(cost_class=2, cost_bbox=5, cost_giou=2)
    criterion = SetCriterion(
        classes, matcher, weights, 0.25, ["labels", "boxes", "cardinality"], group_detr=groups, **KINDS[kind]
    )
    criterion.train()
    terms = criterion(outputs, targets)
    total = sum(
        v * weights[k.split("_enc")[0].rstrip("0123456789").rstrip("_")]
        for k, v in terms.items()
        if k.startswith("loss")
    )
    leaves = [outputs, *outputs["aux_outputs"], outputs["enc_outputs"]]
    tensors = [layer[name] for layer in leaves for name in ("pred_logits", "pred_boxes")]
    gradients = torch.autograd.grad(total, tensors, allow_unused=True)
    return {
        **case,
        "kind": kind,
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
        json.dump([run(case, kind) for case in CASES for kind in KINDS], file, indent=1)
        file.write("\n")
