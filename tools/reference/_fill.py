"""Numbers that both sides make without a download: weights, images, targets. Twin of
packages/rfdetr/src/instruments/peers/deterministic-fill.ts."""

import argparse
import math
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]


def out_folder(description: str) -> Path:
    """The one option of every script: where the tree of golden files begins."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--out", type=Path, default=ROOT, help="files are written below this folder at their place in the repository"
    )
    return parser.parse_args().out


def write(out: Path, place: str, text: str) -> None:
    path = out / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if text.endswith("\n") else text + "\n")
    print(f"{path.stat().st_size} bytes -> {path}")


def uniforms(key: str, count: int) -> np.ndarray:
    """[-1, 1): murmur3's finaliser over the index plus the FNV-1a hash of the key."""
    h = 0x811C9DC5
    for byte in key.encode():
        h = ((h ^ byte) * 0x01000193) & 0xFFFFFFFF
    x = (np.arange(count, dtype=np.uint64) + h).astype(np.uint32)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
    return (x ^ (x >> np.uint32(16))).astype(np.float64) / 2**32 * 2 - 1


def value(key: str, shape: list[int]) -> np.ndarray:
    """Numbers of a parameter, by the first rule that fits its key."""
    numel = math.prod(shape)
    u = uniforms(key, numel)
    if len(shape) == 1 and key.endswith("weight"):
        return 1 + 0.1 * u
    if "lambda1" in key:
        return 0.5 + 0.1 * u
    if "class_embed" in key and key.endswith("bias"):
        return -4.6 + 0.1 * u
    if key.endswith("sampling_offsets.bias"):
        return 2 * u
    if "embeddings" in key and "projection" not in key:
        return 0.5 * u
    if key == "query_feat.weight":
        return 0.5 * u
    if key == "refpoint_embed.weight":
        return 0.2 * u
    if len(shape) > 1:
        scale = math.sqrt(3 / (numel / shape[0]))
        scale *= 0.3 if "bbox_embed" in key and key.endswith("layers.2.weight") else 1
        scale *= 0.3 if key.endswith("sampling_offsets.weight") else 1
        return scale * u
    return 0.1 * u


def fill(model) -> None:
    """Fills every parameter, rounded to float32 whatever the model's dtype."""
    import torch

    with torch.no_grad():
        for key, parameter in model.named_parameters():
            parameter.copy_(
                torch.from_numpy(value(key, list(parameter.shape)).astype(np.float32)).view(parameter.shape)
            )
