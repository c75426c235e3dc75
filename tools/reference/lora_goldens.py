"""Loss and gradients of the Python package (rfdetr 1.11.2) with adapters in the encoder, in float64.

The model and the images are those of training_goldens.py; the adapters are filled by the keys that they have here.

    python tools/reference/lora_goldens.py
"""

import functools
import json
import logging
import re
import warnings
from dataclasses import replace

import numpy as np
import rfdetr.models.backbone.dinov2 as dinov2
import rfdetr.training.module_model as module_model
import torch
from _fill import fill, out_folder, uniforms, write
from rfdetr.config import RFDETRNanoConfig, TrainConfig
from rfdetr.models._defaults import MODEL_DEFAULTS
from rfdetr.models.lwdetr import build_model_from_config
from rfdetr.models.weights import apply_lora
from training_goldens import SETTINGS, SIDE, TINY, marks, micro_batch, small_encoder

PLACE = "packages/rfdetr/src/train/parameters/fixtures/lora.json"
PARTS = {"lora_A": "lora_a", "lora_B": "lora_b", "lora_magnitude_vector": "lora_magnitude"}


def own_key(key: str) -> str:
    key = key.replace("base_model.model.", "").replace(".base_layer.", ".")
    return re.sub(r"\.(lora_\w+)\.default\.weight$", lambda part: f".{PARTS[part[1]]}", key)


def main():
    out = out_folder(__doc__)
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    dinov2.size_to_width = {**dinov2.size_to_width, "small": 96}
    dinov2.get_config = small_encoder(dinov2.get_config)
    module_model.build_model_from_config = functools.partial(
        build_model_from_config, defaults=replace(MODEL_DEFAULTS, dim_feedforward=256)
    )
    module = module_model.RFDETRModelModule(
        RFDETRNanoConfig(device="cpu", pretrain_weights=None, **TINY),
        TrainConfig(dataset_dir=".", output_dir=".", **SETTINGS),
    )
    fill(module.model)
    apply_lora(module.model)
    model = module.model.double().train()
    named = {own_key(key): parameter for key, parameter in model.named_parameters()}
    adapters = {key: parameter for key, parameter in named.items() if ".lora_" in key}
    with torch.no_grad():
        for key, parameter in adapters.items():
            values = uniforms(key, parameter.numel()).astype(np.float32) * np.float32(0.125)
            offset = 1.0 if key.endswith("magnitude") else 0.0
            parameter.copy_(torch.from_numpy(values).double().view(parameter.shape) + offset)
    samples, targets = micro_batch(0, SIDE, torch.float64)
    terms = module.criterion(model(samples, targets), targets)
    weights = module.criterion.weight_dict
    loss = sum(terms[key] * weights[key] for key in terms if key in weights)
    loss.backward()
    gradients = {key: parameter.grad for key, parameter in named.items() if parameter.grad is not None}
    document = {
        "loss": float(loss),
        "trained": sorted(key for key, parameter in named.items() if parameter.requires_grad),
        "adapters": {key: marks([key], gradients) for key in sorted(adapters)},
        "others": marks(sorted(set(gradients) - set(adapters)), gradients),
    }
    write(out, PLACE, json.dumps(document, separators=(",", ":")))


if __name__ == "__main__":
    main()
