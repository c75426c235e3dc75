#!/usr/bin/env python3
"""Goldens for COCO mean average precision of boxes and masks, from pycocotools.

    pip install numpy pycocotools && python tools/reference/coco_eval_goldens.py

Writes small datasets with their results and every curve's summary: crowds, ignored areas, ties in score and in overlap,
images without anything, classes without ground truth or without detections, more detections than the limit. The masks
are ellipses with holes and specks, polygons among the ground truth, and empty ones.
"""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
from pycocotools import mask as masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

FIXTURES = Path(__file__).resolve().parents[2] / "packages/rfdetr/src/eval/coco/fixtures"
MASK_SIZE = (150, 200)


def dataset(seed, images, categories, truths, detections, *, crowd=0.0, levels=0, spread=0.1, grid=0, sizes=(4, 200)):
    """levels: number of different scores (0: continuous); grid: coordinates are multiples of it (0: continuous)."""
    rng = np.random.default_rng(seed)
    ids = rng.permutation(np.arange(1, 3 * images + 1))[:images].tolist()
    cats = sorted(rng.permutation(np.arange(1, 2 * categories + 3))[:categories].tolist())

    def snap(box):
        box = [float(round(v / grid) * grid) if grid else round(float(v), 2) for v in box]
        return [box[0], box[1], max(box[2], grid or 0.5), max(box[3], grid or 0.5)]

    annotations, results = [], []
    for image in ids:
        own = []
        for _ in range(rng.integers(0, truths + 1)):
            size = np.exp(rng.uniform(np.log(sizes[0]), np.log(sizes[1]), 2))
            box = snap([*rng.uniform(0, 300, 2), *size])
            # The first class never has ground truth, the last never detections.
            category = int(rng.choice(cats[1:] if len(cats) > 1 else cats))
            # The area of a mask is below that of its box.
            area = round(box[2] * box[3] * float(rng.choice([1.0, 0.6])), 3)
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image,
                    category_id=category,
                    bbox=box,
                    area=area,
                    iscrowd=int(rng.random() < crowd),
                )
            )
            own.append(annotations[-1])
        for _ in range(rng.integers(0, detections + 1)):
            if own and rng.random() < 0.8:
                truth = own[rng.integers(len(own))]
                x, y, w, h = truth["bbox"]
                shift = rng.normal(0, spread, 4)
                box = snap([x + shift[0] * w, y + shift[1] * h, w * np.exp(shift[2]), h * np.exp(shift[3])])
                category = truth["category_id"] if rng.random() < 0.85 else int(rng.choice(cats))
            else:
                box = snap([*rng.uniform(0, 300, 2), *np.exp(rng.uniform(1, 5, 2))])
                category = int(rng.choice(cats))
            if category == cats[-1] and len(cats) > 2:
                continue
            score = float(rng.random())
            score = float(np.float32(round(score * levels) / levels if levels else score))
            results.append(dict(image_id=image, category_id=category, bbox=box, score=score))
    return (
        dict(
            images=[dict(id=i, width=640, height=480) for i in ids],
            categories=[dict(id=c, name=f"c{c}") for c in cats],
            annotations=annotations,
        ),
        results,
    )


def blob(rng, box):
    """The bits of an ellipse in a box (x, y, width, height), with some of its pixels gone and some specks around it."""
    y, x = np.mgrid[: MASK_SIZE[0], : MASK_SIZE[1]]
    radii = max(box[2], 0.1) / 2, max(box[3], 0.1) / 2
    inside = ((x - box[0]) / radii[0] - 1) ** 2 + ((y - box[1]) / radii[1] - 1) ** 2 < 1
    hole = rng.uniform(0, 1, 4) * [*MASK_SIZE, 12, 12]
    inside[int(hole[0]) :, int(hole[1]) :][: int(hole[2]), : int(hole[3])] ^= True
    return inside


def runs(bits, numbers=False):
    if not numbers:
        encoded = masks.encode(np.asfortranarray(bits.astype(np.uint8)))
        return dict(size=encoded["size"], counts=encoded["counts"].decode())
    flat = np.concatenate([[0], bits.T.reshape(-1).astype(int)])
    changes = np.flatnonzero(np.diff(flat))
    return dict(size=list(bits.shape), counts=np.diff([0, *changes.tolist(), bits.size]).tolist())


def masked(seed, *args, polygons=0.0, empty=0.0, **options):
    """The same with masks in the boxes' places. Areas of ground truth are a little off their masks, as COCO's are."""
    annotations, results = dataset(seed, *args, **options)
    rng = np.random.default_rng(seed + 1000)
    for image in annotations["images"]:
        image.update(height=MASK_SIZE[0], width=MASK_SIZE[1])
    for annotation in annotations["annotations"]:
        x, y, w, h = (v / 2 for v in annotation["bbox"])
        if annotation["iscrowd"] or rng.random() >= polygons:
            bits = blob(rng, [x, y, w, h])
            annotation["segmentation"] = runs(bits, numbers=annotation["iscrowd"] == 1)
            annotation["area"] = round(float(bits.sum()) * 0.98, 2)
        else:
            count = int(rng.integers(6, 12))
            angles = (np.arange(count) + rng.uniform(0, 0.8, count)) * 2 * np.pi / count
            corners = np.stack([x + w / 2 + w / 2 * np.cos(angles), y + h / 2 + h / 2 * np.sin(angles)], 1)
            annotation["segmentation"] = [corners.round(2).reshape(-1).tolist()]
            annotation["area"] = round(w * h / 2, 2)
        annotation["bbox"] = [x, y, w, h]
    for result in results:
        box = [v / 2 for v in result["bbox"]]
        bits = blob(rng, box) if rng.random() >= empty else np.zeros(MASK_SIZE, bool)
        result.update(bbox=box, segmentation=runs(bits))
    return annotations, results


def reference(annotations, results, max_dets, kind="bbox"):
    # Where results have boxes, pycocotools takes the areas of these also for masks.
    if kind == "segm":
        results = [{key: value for key, value in result.items() if key != "bbox"} for result in results]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = json.loads(json.dumps(annotations))
        truth.createIndex()
        detections = truth.loadRes(json.loads(json.dumps(results)))
        evaluation = COCOeval(truth, detections, kind)
        evaluation.params.maxDets = list(max_dets)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()

    def mean(values):
        values = values[values > -1]
        return float(values.mean()) if values.size else -1.0

    precision = evaluation.eval["precision"][..., -1]  # [T, R, K, A]
    recall = evaluation.eval["recall"]  # [T, K, A, M]
    stats = {
        "AP": mean(precision[:, :, :, 0]),
        "AP50": mean(precision[0, :, :, 0]),
        "AP75": mean(precision[5, :, :, 0]),
        "AP_small": mean(precision[:, :, :, 1]),
        "AP_medium": mean(precision[:, :, :, 2]),
        "AP_large": mean(precision[:, :, :, 3]),
        **{f"AR{limit}": mean(recall[:, :, 0, m]) for m, limit in enumerate(sorted(max_dets))},
        "AR_small": mean(recall[:, :, 1, -1]),
        "AR_medium": mean(recall[:, :, 2, -1]),
        "AR_large": mean(recall[:, :, 3, -1]),
    }
    if list(max_dets) == [1, 10, 100]:
        stock = evaluation.stats.tolist()
        ours = [
            stats[k]
            for k in (
                "AP",
                "AP50",
                "AP75",
                "AP_small",
                "AP_medium",
                "AP_large",
                "AR1",
                "AR10",
                "AR100",
                "AR_small",
                "AR_medium",
                "AR_large",
            )
        ]
        assert stock == ours, (stock, ours)
    per_class = [
        {
            "class_id": category["id"],
            "AP": mean(precision[:, :, k, 0]),
            "AP50": mean(precision[0, :, k, 0]),
            "AP75": mean(precision[5, :, k, 0]),
            "AR": mean(recall[:, k, 0, -1]),
        }
        for k, category in enumerate(annotations["categories"])
    ]
    sizes = {
        size: {"AP50": mean(precision[0, :, :, area])} for area, size in enumerate(("small", "medium", "large"), 1)
    }
    # One number that moves when any entry of the curves moves.
    weight = lambda a: float((a * np.cos(np.arange(a.size)).reshape(a.shape)).sum())
    return {
        "stats": stats,
        "per_class": per_class,
        "sizes": sizes,
        "precision_mark": weight(precision),
        "recall_mark": weight(recall),
    }


def encoded(entry, image):
    """The mask of an entry of a COCO file as encoded runs."""
    outline, size = entry["segmentation"], (image["height"], image["width"])
    if isinstance(outline, list):
        return masks.merge(masks.frPyObjects(outline, *size))
    return masks.frPyObjects(outline, *size) if isinstance(outline["counts"], list) else outline


def trained():
    """What the demo's detector finds in forty of its validation images, above a score of 0.02. Ids of annotations
    begin at 1: pycocotools counts a detection that matches annotation 0 as a false one."""
    document = json.loads((Path(__file__).parent / "trained_detections.json").read_text())
    return document["annotations"], document["results"]


def main():
    cases = {
        "plain": (dataset(1, 12, 4, 6, 12), [1, 10, 100]),
        "crowds": (dataset(2, 10, 3, 6, 16, crowd=0.4, spread=0.15), [1, 10, 100]),
        "tied scores and overlaps": (
            dataset(3, 10, 2, 8, 24, levels=4, grid=20, crowd=0.1, sizes=(20, 120)),
            [1, 10, 100],
        ),
        "sizes at the area limits": (dataset(4, 12, 3, 6, 14, grid=32, levels=20, sizes=(32, 200)), [1, 10, 100]),
        "mostly empty images": (dataset(5, 30, 6, 1, 2), [1, 10, 100]),
        "one class, over a hundred detections": (dataset(6, 2, 1, 20, 320, spread=0.3, levels=50), [1, 10, 100]),
        "one class, limit 500": (dataset(6, 2, 1, 20, 320, spread=0.3, levels=50), [1, 10, 500]),
        "limits 1 2 3": (dataset(7, 12, 2, 6, 20, crowd=0.1), [1, 2, 3]),
        "only crowds": (dataset(8, 6, 2, 4, 8, crowd=1.0), [1, 10, 100]),
        "detections of a trained detector": (trained(), [1, 10, 100]),
        "detections of a trained detector, limit 500": (trained(), [1, 10, 500]),
    }
    write("coco.json", cases, ["bbox"])
    near = dict(spread=0.05, sizes=(40, 400))
    write(
        "coco-masks.json",
        {
            "masks": (masked(11, 8, 3, 5, 14, **near), [1, 10, 100]),
            "masks with crowds and empty masks": (masked(12, 8, 3, 5, 14, crowd=0.4, empty=0.1, **near), [1, 10, 100]),
            "masks with ties, limits 1 2 3": (masked(13, 6, 2, 5, 12, levels=4, grid=20, sizes=(20, 300)), [1, 2, 3]),
            "polygons": (masked(16, 8, 3, 5, 14, polygons=0.8, crowd=0.1, **near), [1, 10, 100]),
            "masks of mostly empty images": (masked(15, 12, 4, 1, 2, **near), [1, 10, 100]),
            "inexact masks": (masked(17, 8, 3, 5, 14, crowd=0.1, spread=0.3, sizes=(40, 300)), [1, 10, 100]),
        },
        ["bbox", "segm"],
    )


def write(name, cases, kinds):
    names = {"bbox": "expected", "segm": "expected_masks"}
    document = [
        {
            "name": case,
            "annotations": annotations,
            "results": results,
            "max_dets": max_dets,
            **{names[kind]: reference(annotations, results, max_dets, kind) for kind in kinds},
        }
        for case, ((annotations, results), max_dets) in cases.items()
    ]
    FIXTURES.mkdir(parents=True, exist_ok=True)
    path = FIXTURES / name
    path.write_text(json.dumps(document, separators=(",", ":")) + "\n")
    print(f"{len(document)} cases, {path.stat().st_size} bytes -> {path}")


if __name__ == "__main__":
    main()
