#!/usr/bin/env python3
"""Goldens for the error analysis, from tidecv 1.0.1.

    pip install tidecv==1.0.1
    python tools/reference/tide_goldens.py

Half of the cases are datasets of coco_eval_goldens.py, those with masks judged by the masks; the others are generated
here, with every kind of error. Three
things differ from tidecv on purpose. Detections of equal score keep the order of images and detections; here they are
given different scores in that order. Detections in a crowd region are no errors, as in later versions of tidecv's
repository. And AP is the mean over the classes that have ground truth, where a class of which nothing is left to find
has 100. `changed` lists the figures of a case that tidecv as it is gives otherwise.
"""

import contextlib
import json
from pathlib import Path

import numpy as np
import tidecv
from coco_eval_goldens import encoded, masks
from tidecv import quantify
from tidecv.ap import ClassedAPDataObject
from tidecv.errors import main_errors
from tidecv.errors.qualifiers import Qualifier

FIXTURES = Path(__file__).resolve().parents[2] / "packages/rfdetr/src/eval/error-analysis/fixtures"
COCO = FIXTURES.parents[1] / "coco/fixtures/coco.json"
KINDS = {
    "class": main_errors.ClassError,
    "localisation": main_errors.BoxError,
    "both": main_errors.OtherError,
    "duplicate": main_errors.DuplicateError,
    "background": main_errors.BackgroundError,
    "missed": main_errors.MissedError,
}
SIZES = {
    "small": lambda entry: area(entry) <= 32**2,
    "medium": lambda entry: 32**2 < area(entry) <= 96**2,
    "large": lambda entry: area(entry) > 96**2,
}


def area(entry):
    if "area" in entry:
        return entry["area"]
    return float(masks.area(entry["mask"])) if entry["mask"] else entry["bbox"][2] * entry["bbox"][3]


def generated(seed, images, classes, truths, *, noise, wrong_class, extra, duplicates, missed, grid=0):
    """Rows of truths [image, class, x, y, w, h, crowd] and of detections [image, class, x, y, w, h, score]."""
    rng = np.random.default_rng(seed)

    def rounded(box):
        box = np.round(np.asarray(box) / grid) * grid if grid else np.round(box, 1)
        return [float(v) for v in (*box[:2], *np.maximum(box[2:], grid or 1))]

    def box():
        return rounded([*rng.uniform(0, 400, 2), *np.exp(rng.uniform(np.log(8), np.log(200), 2))])

    def near(truth):
        x, y, w, h = truth
        shift = rng.normal(0, noise, 4)
        return rounded([x + shift[0] * w, y + shift[1] * h, w * np.exp(shift[2]), h * np.exp(shift[3])])

    def score():
        return round(float(rng.random()), 2 if grid else 6)

    known, found = [], []
    for image in range(1, images + 1):
        for _ in range(rng.integers(0, truths + 1)):
            label, truth = int(rng.integers(classes)), box()
            known.append([image, label, *truth, 0])
            if rng.random() < missed:
                continue
            for _ in range(1 + int(rng.random() < duplicates)):
                named = int(rng.integers(classes)) if rng.random() < wrong_class else label
                found.append([image, named, *near(truth), score()])
        for _ in range(rng.poisson(extra)):
            found.append([image, int(rng.integers(classes)), *box(), score()])
    return dict(images=images, classes=classes, truths=known, detections=found)


def of_coco(case):
    """The same rows from COCO's files; class indices in the order of category ids, and areas."""
    labels = {c: k for k, c in enumerate(sorted(c["id"] for c in case["annotations"]["categories"]))}
    images = {image["id"]: image for image in case["annotations"]["images"]}
    outlines = lambda entries: [encoded(e, images[e["image_id"]]) if "segmentation" in e else None for e in entries]
    return dict(
        images=list(images),
        classes=len(labels),
        masks=dict(truths=outlines(case["annotations"]["annotations"]), detections=outlines(case["results"])),
        truths=[
            [t["image_id"], labels[t["category_id"]], *t["bbox"], t["iscrowd"], t["area"]]
            for t in case["annotations"]["annotations"]
        ],
        detections=[[r["image_id"], labels[r["category_id"]], *r["bbox"], r["score"]] for r in case["results"]],
    )


def data_of(case):
    images = case["images"] if isinstance(case["images"], list) else range(1, case["images"] + 1)
    truth, found = tidecv.Data("truth"), tidecv.Data("found")
    for image in sorted(images):
        truth.add_image(image, str(image))
    for label in range(case["classes"]):
        truth.add_class(label, str(label))
    given = case.get("masks") or dict(truths=[None] * len(case["truths"]), detections=[None] * len(case["detections"]))
    for (image, label, x, y, w, h, crowd, *size), mask in zip(case["truths"], given["truths"]):
        (truth.add_ignore_region if crowd else truth.add_ground_truth)(image, label, [x, y, w, h], mask)
        truth.annotations[-1]["area"] = size[0] if size else w * h
    rows = case["detections"]
    order = sorted(range(len(rows)), key=lambda i: (-rows[i][6], rows[i][0], i))
    rank = {row: place for place, row in enumerate(order)}
    for i, (image, label, x, y, w, h, _) in enumerate(rows):
        found.add_detection(image, label, 1 - rank[i] / len(rows), [x, y, w, h], given["detections"][i])
    return truth, found


class ExampleWithoutIgnored(quantify.TIDEExample):
    """An image without the detections that lie in a crowd region."""

    def _run(self):
        super()._run()
        count = len(self.preds)
        kept = [i for i, pred in enumerate(self.preds) if pred["used"] is not None]
        self.preds = [self.preds[i] for i in kept]
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray) and value.shape[0] == count:
                setattr(self, name, value[kept])


@contextlib.contextmanager
def changed_for(labels):
    """Without ignored detections; AP as the mean over these classes, 100 for one that has nothing left to find."""
    example, mean = quantify.TIDEExample, ClassedAPDataObject.get_mAP
    quantify.TIDEExample = ExampleWithoutIgnored
    ClassedAPDataObject.get_mAP = lambda self: float(np.mean([class_ap(self, label) for label in labels]))
    try:
        yield
    finally:
        quantify.TIDEExample, ClassedAPDataObject.get_mAP = example, mean


def class_ap(data, label):
    return data.objs[label].get_ap() if data.objs[label].num_gt_positives > 0 else 100.0


def figures(case):
    truth, found = data_of(case)
    masked = any(case.get("masks", {}).get("truths", []))
    run = tidecv.TIDE().evaluate(truth, found, mode=tidecv.TIDE.MASK if masked else tidecv.TIDE.BOX)
    special = run.fix_special_errors()
    main = run.fix_main_errors()
    document = dict(
        ap=run.ap,
        kinds={name: dict(count=len(run.error_dict[kind]), lost=main[kind]) for name, kind in KINDS.items()},
        false_positives=special[main_errors.FalsePositiveError],
        false_negatives=special[main_errors.FalseNegativeError],
    )
    for name, kind in KINDS.items():
        document["kinds"][name]["sizes"] = {
            size: dict(
                count=sum(Qualifier(size, test)._make_error_func(kind)(error) for error in run.errors),
                lost=run.fix_main_errors(error_types=[kind], qual=Qualifier(size, test))[kind],
            )
            for size, test in SIZES.items()
        }
    return document


def flat(figures, name=""):
    if not isinstance(figures, dict):
        return {name: figures}
    return {key: value for part in figures for key, value in flat(figures[part], f"{name}.{part}".strip(".")).items()}


def golden(name, case):
    labels = sorted({row[1] for row in case["truths"] if not row[6]})
    with changed_for(labels):
        document = figures(case)
    own, stock = flat(document), flat(figures(case))
    changed = [key for key in own if abs(own[key] - stock[key]) > 1e-9 and ".sizes." not in key]
    return dict(name=name, changed=changed, **document)


def main():
    usual = dict(noise=0.15, wrong_class=0.15, extra=1, duplicates=0.2, missed=0.1)
    own = {
        "errors of every kind": generated(1, 30, 5, 6, **usual),
        "inexact boxes": generated(2, 20, 3, 5, **{**usual, "noise": 0.4}),
        "duplicates and confusions": generated(6, 25, 4, 5, **{**usual, "duplicates": 0.7, "wrong_class": 0.4}),
        "crowded images, equal scores and overlaps": generated(3, 6, 2, 40, **usual, grid=8),
        "more detections than count": generated(4, 2, 3, 30, **{**usual, "extra": 100}),
        "classes without ground truth, or never found": generated(5, 8, 30, 3, **{**usual, "missed": 0.5}),
    }
    datasets = json.loads(COCO.read_text()) + json.loads(COCO.with_name("coco-masks.json").read_text())
    cases = {case["name"]: of_coco(case) for case in datasets if case["max_dets"] == [1, 10, 100]}
    cases = {name: case for name, case in cases.items() if any(not row[6] for row in case["truths"])}
    document = dict(
        generated=[dict(name=name, **case) for name, case in own.items()],
        expected=[golden(name, case) for name, case in {**own, **cases}.items()],
    )
    FIXTURES.mkdir(exist_ok=True)
    out = FIXTURES / "tide.json"
    out.write_text(json.dumps(document, separators=(",", ":")) + "\n")
    for case in document["expected"]:
        print(case["name"], round(case["ap"], 2), [kind["count"] for kind in case["kinds"].values()], case["changed"])
    print(f"{len(document['expected'])} cases, {out.stat().st_size} bytes -> {out}")


if __name__ == "__main__":
    main()
