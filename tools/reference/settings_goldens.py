"""Names, defaults and choices of every setting of the Python package, so that a test can ask for each of them by name.

Run in an environment with `rfdetr[train]==1.11.2`:
    python tools/reference/settings_goldens.py packages/rfdetr/src/settings/fixtures/package-settings.json
"""

import json
import sys
import typing
from enum import Enum

import rfdetr.config as config
from pydantic_core import PydanticUndefined
from rfdetr.datasets.coco import compute_multi_scale_scales

VARIANTS = {
    "nano": config.RFDETRNanoConfig,
    "small": config.RFDETRSmallConfig,
    "medium": config.RFDETRMediumConfig,
    "base": config.RFDETRBaseConfig,
    "large": config.RFDETRLargeConfig,
    "large-deprecated": config.RFDETRLargeDeprecatedConfig,
}


def choices(annotation: object) -> list:
    """The words that a field takes; empty where any value of its type is taken."""
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [member.value for member in annotation]
    if typing.get_origin(annotation) is typing.Literal:
        return list(typing.get_args(annotation))
    found = []
    for part in typing.get_args(annotation) if typing.get_origin(annotation) is not list else ():
        found += [choice for choice in choices(part) if choice not in found]
    return found


def fields(model: type) -> dict:
    table = {}
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        entry = (
            {"required": True}
            if default is PydanticUndefined
            else {"default": default.value if isinstance(default, Enum) else default}
        )
        if found := choices(field.annotation):
            entry["choices"] = found
        table[name] = entry
    # The default is what is found on the machine that this runs on.
    if "device" in table:
        table["device"] = {}
    return table


def scales(model: config.ModelConfig, expanded: bool) -> list[int]:
    """The side lengths of multi-scale training."""
    return compute_multi_scale_scales(model.resolution, expanded, model.patch_size, model.num_windows)


train = fields(config.TrainConfig)
golden = {
    "train": train,
    "segmentation": {k: v for k, v in fields(config.SegmentationTrainConfig).items() if k not in train},
    "keypoint": {k: v for k, v in fields(config.KeypointTrainConfig).items() if k not in train},
    "model": fields(config.ModelConfig),
    "scales": {name: {str(e).lower(): scales(model(), e) for e in (False, True)} for name, model in VARIANTS.items()},
    "variants": {name: {**model().model_dump(mode="json"), "device": "cpu"} for name, model in VARIANTS.items()},
}
json.dump(golden, open(sys.argv[1], "w"), indent=1)
