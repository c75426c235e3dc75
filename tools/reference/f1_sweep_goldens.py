#!/usr/bin/env python3
"""Goldens for the F1 sweep, from the Python package's matcher and sweep (rfdetr 1.11.2), on the datasets of
coco_eval_goldens.py; those with masks are matched by the masks.

    pip install numpy pycocotools && pip download --no-deps rfdetr==1.11.2 && unzip rfdetr-*.whl
    python tools/reference/f1_sweep_goldens.py FOLDER_WITH_RFDETR

Only the NumPy half of the package runs here (matching of one class, sweep), so torch is replaced by an empty module;
the IoU of boxes, which the package takes from torchvision in float32, is computed in float32 by NumPy, that of masks by
pycocotools."""

import importlib.util
import json
import sys
import types
from pathlib import Path

import numpy as np
from coco_eval_goldens import encoded, masks

FIXTURES = Path(__file__).resolve().parents[2] / "packages/rfdetr/src/eval/details/fixtures"


def module(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def stand_in(name, **members):
    sys.modules[name] = types.ModuleType(name)
    for key, value in members.items():
        setattr(sys.modules[name], key, value)


def box_iou(a, b):
    a, b = np.asarray(a, np.float32).reshape(-1, 1, 4), np.asarray(b, np.float32).reshape(1, -1, 4)
    corner = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    inter = np.clip(corner, 0, None).prod(-1)
    area = lambda box: (box[..., 2:] - box[..., :2]).prod(-1)
    return (inter / (area(a) + area(b) - inter)).astype(np.float32)


def corners(bbox):
    return [bbox[0], bbox[1], bbox[0] + bbox[2], bbox[1] + bbox[3]]


def overlaps(found, own, image):
    if "segmentation" not in own[0]:
        return box_iou([corners(r["bbox"]) for r in found], [corners(t["bbox"]) for t in own])
    one, other = ([encoded(entry, image) for entry in entries] for entries in (found, own))
    return masks.iou(one, other, [False] * len(other)).astype(np.float32)


def main():
    package = Path(sys.argv[1]) / "rfdetr" / "evaluation"
    stand_in("torch", Tensor=object)
    stand_in("torch.nn")
    stand_in("torch.nn.functional")
    sys.modules["torch.nn"].functional = sys.modules["torch.nn.functional"]
    sys.modules["torch"].nn = sys.modules["torch.nn"]
    stand_in("torchvision")
    stand_in("torchvision.ops", box_iou=box_iou)
    stand_in("rfdetr")
    stand_in("rfdetr.utilities", all_gather=None)
    matching = module("matching", package / "matching.py")
    sweep = module("f1_sweep", package / "f1_sweep.py")

    document = []
    folder = FIXTURES.parents[1] / "coco/fixtures"
    for case in (case for name in ("coco.json", "coco-masks.json") for case in json.loads((folder / name).read_text())):
        images = {image["id"]: image for image in case["annotations"]["images"]}
        truths, results = case["annotations"]["annotations"], case["results"]
        data = {c["id"]: dict(scores=[], matches=[], ignore=[], total_gt=0) for c in case["annotations"]["categories"]}
        for image in images:
            for category, entry in data.items():
                own = [t for t in truths if t["image_id"] == image and t["category_id"] == category]
                found = [r for r in results if r["image_id"] == image and r["category_id"] == category]
                iou = overlaps(found, own, images[image]) if found and own else None
                scores, matches, ignore, total = (
                    matching._accumulate_bbox_class(
                        np.array([r["score"] for r in found], np.float64),
                        (np.arange(len(found)), np.arange(len(own))),
                        np.array([bool(t["iscrowd"]) for t in own], np.bool_),
                        iou,
                        0.5,
                    )
                    if found
                    else ([], [], [], sum(not t["iscrowd"] for t in own))
                )
                entry["scores"].extend(scores), entry["matches"].extend(matches), entry["ignore"].extend(ignore)
                entry["total_gt"] += total
        classes = [
            dict(
                scores=np.array(e["scores"], np.float32),
                matches=np.array(e["matches"], np.int64),
                ignore=np.array(e["ignore"], np.bool_),
                total_gt=e["total_gt"],
            )
            for e in data.values()
        ]
        rows = sweep.sweep_confidence_thresholds(
            classes, np.linspace(0, 1, 101), [k for k, c in enumerate(classes) if c["total_gt"] > 0]
        )
        best = max(rows, key=lambda row: row["macro_f1"])
        document.append(
            dict(
                name=case["name"],
                best=dict(
                    threshold=float(best["confidence_threshold"]),
                    precision=best["macro_precision"],
                    recall=best["macro_recall"],
                    f1=best["macro_f1"],
                ),
                per_class_f1=[float(v) for v in best["per_class_f1"]],
                macro_f1=[row["macro_f1"] for row in rows],
            )
        )
    out = FIXTURES / "f1-sweep.json"
    out.write_text(json.dumps(document, separators=(",", ":")) + "\n")
    print(f"{len(document)} cases, {out.stat().st_size} bytes -> {out}")


if __name__ == "__main__":
    main()
