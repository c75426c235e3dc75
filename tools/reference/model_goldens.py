"""Goldens of the model from the Python package: key lists, and paths that the published golden numbers do not pass.

Run in an environment with `rfdetr[train]==1.11.2`:
    python tools/reference/model_goldens.py packages/rfdetr/src/model/parity/fixtures/reference.json
"""

import json
import sys

import numpy as np
import torch
from _fill import fill
from _model import build, digest, images, shapes_of, summary, targets
from rfdetr import config as configs
from rfdetr.models.lwdetr import build_criterion_from_config
from rfdetr.utilities.tensors import NestedTensor

# Parameters whose gradient norms are watched: head, encoder, decoder and queries.
WATCHED = [
    "class_embed.bias",
    "backbone.0.encoder.encoder.embeddings.cls_token",
    "backbone.0.encoder.encoder.encoder.layer.0.mlp.fc1.weight",
    "transformer.decoder.layers.0.cross_attn.sampling_offsets.weight",
    "query_feat.weight",
]


def case(name: str, size: tuple[int, int], training: bool, **overrides) -> dict:
    torch.manual_seed(0)
    model = build(name, **overrides)
    fill(model)
    model.double().train(training)
    with torch.no_grad():
        out = model(images(2, *size))
    return {
        key: summary(t)
        for key, t in (
            ("predLogits", out["pred_logits"]),
            ("predBoxes", out["pred_boxes"]),
            ("encLogits", out["enc_outputs"]["pred_logits"]),
            ("encBoxes", out["enc_outputs"]["pred_boxes"]),
        )
    }


def training(name: str, side: int) -> dict:
    """Loss terms and gradient norms of one step on two images."""
    model = build(name)
    fill(model)
    model.double().train()
    settings = configs.TrainConfig(dataset_dir="-", output_dir="-")
    criterion, _ = build_criterion_from_config(getattr(configs, name)(device="cpu"), settings)
    mask = torch.zeros(2, side, side, dtype=torch.bool)
    terms = criterion.train()(model(NestedTensor(images(2, side, side), mask)), [targets(0), targets(1)])
    total = sum(v * criterion.weight_dict[k] for k, v in terms.items() if k in criterion.weight_dict)
    total.backward()
    norms = {key: p.grad.norm().item() for key, p in model.named_parameters() if p.grad is not None}
    return {
        "side": side,
        "terms": {key: term.item() for key, term in terms.items()},
        "total": total.item(),
        "norm": float(np.linalg.norm(list(norms.values()))),
        "norms": {key: norms[key] for key in WATCHED},
    }


names = {
    "nano": "RFDETRNanoConfig",
    "small": "RFDETRSmallConfig",
    "medium": "RFDETRMediumConfig",
    "base": "RFDETRBaseConfig",
    "large": "RFDETRLargeConfig",
    "large-deprecated": "RFDETRLargeDeprecatedConfig",
}
goldens = {
    "keys": {variant: digest(shapes_of(build(name))) for variant, name in names.items()},
    "cases": {
        "pyramid": case("RFDETRLargeDeprecatedConfig", (224, 280), False, encoder="dinov2_windowed_small"),
        "oneWindow": case("RFDETRNanoConfig", (176, 176), False, num_windows=1),
        "fewTokens": case("RFDETRNanoConfig", (160, 128), True),
    },
    "training": {"nano": training("RFDETRNanoConfig", 288), "base": training("RFDETRBaseConfig", 280)},
}
with open(sys.argv[1], "w") as file:
    json.dump(goldens, file, indent=1)
    file.write("\n")
