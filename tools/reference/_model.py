"""Models of the Python package, images and targets for golden scripts, and what they keep of tensors."""

import hashlib

import numpy as np
import torch
from rfdetr import config as configs
from rfdetr.models.lwdetr import build_model_from_config


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


def targets(image: int) -> dict:
    """Image b has 2 + b boxes."""
    boxes = [[0.3 + 0.15 * k, 0.6 - 0.1 * k, 0.2 + 0.05 * k, 0.25 + 0.03 * image] for k in range(2 + image)]
    return {
        "boxes": torch.from_numpy(np.array(boxes, dtype=np.float32)).double(),
        "labels": torch.tensor([(7 * k + 3 * image + 1) % 90 for k in range(2 + image)]),
    }
