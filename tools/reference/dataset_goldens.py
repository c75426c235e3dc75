"""Goldens of reading datasets with the Python package: layouts, labels, boxes and areas of every image before any
transform.

The datasets are written from the texts below, and stand in the golden file too, so that the test writes the same ones.

Run in an environment with `rfdetr[train]==1.11.2`:
    python tools/reference/dataset_goldens.py packages/rfdetr/src/data/formats/fixtures/datasets.json
"""

import json
import sys
import tempfile
from pathlib import Path

from PIL import Image
from rfdetr.datasets.coco import CocoDetection, _train_split_cat2label
from rfdetr.datasets.yolo import YoloDetection, _resolve_yolo_split_dirs, find_yolo_data_file

WIDTH, HEIGHT = 64, 48


def coco(categories, annotations, images=("a.jpg", "b.jpg")):
    return json.dumps(
        {
            "images": [
                {"id": 10 - i, "file_name": name, "width": WIDTH, "height": HEIGHT} for i, name in enumerate(images)
            ],
            "categories": [{"id": i, "name": name, "supercategory": parent} for i, name, parent in categories],
            "annotations": [
                {
                    "id": i,
                    "image_id": image,
                    "category_id": category,
                    "bbox": box,
                    "area": area,
                    "iscrowd": crowd,
                    "segmentation": [],
                }
                for i, (image, category, box, area, crowd) in enumerate(annotations)
            ],
        }
    )


EXPORT = [
    (0, "animals", "none"),
    (4, "dog", "animals"),
    (2, "cat", "animals"),
    (9, "car", "vehicle"),
    (7, "vehicle", "vehicle"),
]
BOXES = [
    (10, 4, [3.5, 4.25, 20, 10.5], 180.25, 0),
    (10, 2, [-5, -2, 20, 20], 400, 0),
    (10, 2, [50, 40, 30, 30], 900, 0),
    (10, 4, [10, 10, 0, 5], 0, 0),
    (10, 4, [70, 10, 5, 5], 25, 0),
    (10, 9, [0, 0, 64, 48], 3072, 1),
    (10, 7, [1, 2, 3, 4], 12, 0),
]
LINES = "1 0.5 0.5 0.25 0.5\n0 0.05 0.1 0.2 0.4\n\n2 0.1 0.2 0.5 0.1 0.4 0.9\n1 0.9 0.9 0.4 0.4\n0 0.25 0.5 0 0.5\n"
YOLO = {
    "images/train/a.jpg": None,
    "images/train/b.png": None,
    "images/val/c.jpg": None,
    "labels/train/a.txt": LINES,
    "labels/val/c.txt": "",
}


def moved(old: str, new: str):
    return {path.replace(old, new): text for path, text in YOLO.items()}


def roboflow(valid: str):
    return {
        **{
            path.replace("images/train", "train/images").replace("labels/train", "train/labels"): t
            for path, t in YOLO.items()
            if "train" in path
        },
        **{
            path.replace("images/val", f"{valid}/images").replace("labels/val", f"{valid}/labels"): t
            for path, t in YOLO.items()
            if "val" in path
        },
    }


NAMES = "names: [cat, dog, owl]\n"
DATASETS = {
    "roboflow coco": {
        "train/a.jpg": None,
        "train/b.jpg": None,
        "train/_annotations.coco.json": coco(EXPORT, BOXES),
        "valid/a.jpg": None,
        "valid/b.jpg": None,
        "valid/_annotations.coco.json": coco(EXPORT[1:3], BOXES[:2]),
    },
    "coco": {
        "train2017/a.jpg": None,
        "train2017/b.jpg": None,
        "annotations/instances_train2017.json": coco(
            [(1, "person", "person"), (18, "dog", "animal"), (90, "brush", "indoor")],
            [(9, 18, [1, 2, 3, 4], 12, 0), (9, 90, [5, 6, 7, 8], 50, 0)],
        ),
        "val2017/a.jpg": None,
        "annotations/instances_val2017.json": coco(
            [(1, "person", "person"), (18, "dog", "animal"), (90, "brush", "indoor")],
            [(10, 1, [0, 0, 9, 9], 81, 0)],
            ["a.jpg"],
        ),
    },
    "ultralytics yolo": {
        **YOLO,
        "data.yaml": "path: ../elsewhere/coco8\ntrain: images/train\nval: images/val\n"
        "names:\n  0: cat\n  1: dog\n  2: owl\n",
    },
    "ultralytics yolo in a folder": {
        **{f"deep/{path}": text for path, text in YOLO.items()},
        "data.yaml": f"path: deep\ntrain: images/train\nval: images/val\n{NAMES}",
    },
    "yolo with splits of images and labels": {**roboflow("val"), "data.yaml": f"train: train\nval: val\n{NAMES}"},
    "roboflow yolo": {
        **roboflow("valid"),
        "data.yaml": f"train: ../train/images\nval: ../valid/images\nnc: 3\n{NAMES}",
    },
    "roboflow yolo without paths, with val": {**roboflow("val"), "data.yml": NAMES},
}


def write(root: Path, files: dict) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            Image.new("RGB", (WIDTH, HEIGHT)).save(root / path)
        else:
            (root / path).write_text(text)


def open_split(root: Path, name: str, split: str):
    if name == "roboflow coco":
        mapping = _train_split_cat2label(root)
        return CocoDetection(
            root / split, root / split / "_annotations.coco.json", None, remap_category_ids=True, cat2label=mapping
        )
    if name == "coco":
        year = {"train": "train2017", "valid": "val2017"}[split]
        return CocoDetection(root / year, root / "annotations" / f"instances_{year}.json", None)
    file = find_yolo_data_file(root)
    images, labels = _resolve_yolo_split_dirs(root, file, {"train": "train", "valid": "val"}[split])
    return YoloDetection(str(images), str(labels), str(file))


def file_of(dataset, i: int, root: Path) -> str:
    if isinstance(dataset, YoloDetection):
        path = Path(dataset.sv_dataset.get_image_info(i).image_path)
    else:
        path = Path(dataset.root) / dataset.coco.loadImgs(dataset.ids[i])[0]["file_name"]
    return str(path.resolve().relative_to(root.resolve()))


golden = []
for name, files in DATASETS.items():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write(root, files)
        splits = {}
        for split in ("train", "valid"):
            dataset = open_split(root, name, split)
            images = []
            for i in range(len(dataset)):
                _, target = dataset[i]
                images.append(
                    {"file": file_of(dataset, i, root), **{k: target[k].tolist() for k in ("boxes", "labels", "area")}}
                )
            splits[split] = sorted(images, key=lambda image: image["file"])
        golden.append({"name": name, "files": files, "rawLabels": name == "coco", "splits": splits})
json.dump({"width": WIDTH, "height": HEIGHT, "datasets": golden}, open(sys.argv[1], "w"), indent=1)
