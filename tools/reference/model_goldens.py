"""Goldens of the model from the Python package: key lists, and paths that the published golden numbers do not pass.

Run in an environment with `rfdetr[train]==1.11.2`:
    python tools/reference/model_goldens.py packages/rfdetr/src/model/parity/fixtures/reference.json
"""

import hashlib
import json
import sys

import numpy as np
import torch
from _fill import fill
from rfdetr import config as configs
from rfdetr.models.lwdetr import build_criterion_from_config, build_model_from_config
from rfdetr.utilities.tensors import NestedTensor

# Parameters whose gradient norms are watched: head, encoder, decoder and queries.
WATCHED = [
    "class_embed.bias",
    "backbone.0.encoder.encoder.embeddings.cls_token",
    "backbone.0.encoder.encoder.encoder.layer.0.mlp.fc1.weight",
    "transformer.decoder.layers.0.cross_attn.sampling_offsets.weight",
    "query_feat.weight",
]


def build(name: str, **overrides):
    # The weights of the variant are named but not read here; without a name the package would fetch DINOv2's.
    return build_model_from_config(getattr(configs, name)(device="cpu", **overrides))


def shapes_of(model) -> dict[str, list[int]]:
    return {key: list(t.shape) for key, t in model.state_dict().items() if key != "_kp_active_mask"}


def digest(shapes: dict[str, list[int]]) -> str:
    lines = sorted(f"{key} {'x'.join(map(str, shape))}" for key, shape in shapes.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def images(batch: int, height: int, width: int) -> torch.Tensor:
    b, c, y, w = np.meshgrid(*map(np.arange, (batch, 3, height, width)), indexing="ij")
    waves = 1.5 * np.sin(0.05 * y * (1 + c) + 0.3 * b) + np.cos(0.083 * w + 0.5 * c - 0.2 * b)
    return torch.from_numpy(waves.astype(np.float32)).double()


def summary(t: torch.Tensor) -> dict:
    flat = t.detach().flatten()
    return {
        "shape": list(t.shape),
        "mean": flat.mean().item(),
        "std": flat.std(correction=0).item(),
        "first": flat[:6].tolist(),
        "last": flat[-6:].tolist(),
    }


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


def targets(image: int) -> dict:
    """Image b has 2 + b boxes."""
    boxes = [[0.3 + 0.15 * k, 0.6 - 0.1 * k, 0.2 + 0.05 * k, 0.25 + 0.03 * image] for k in range(2 + image)]
    return {
        "boxes": torch.from_numpy(np.array(boxes, dtype=np.float32)).double(),
        "labels": torch.tensor([(7 * k + 3 * image + 1) % 90 for k in range(2 + image)]),
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
