"""Fifty optimizer steps of the Python package (rfdetr 1.11.2): its Lightning module, criterion, parameter groups,
schedule and EMA callback.

The model is our `tiny` variant, built from the package's own classes with a smaller encoder; weights, images and
targets come from _fill.py. Written: per step the loss terms, the gradient norm before clipping and the rates; every
tenth step the norms of weights and averages of every parameter group, with a projection that sees signs and places;
all in float64, float32 and CPU bf16 autocast.

    python tools/reference/training_goldens.py
"""

import functools
import json
import logging
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytorch_lightning as lightning
import rfdetr.models.backbone.dinov2 as dinov2
import rfdetr.training.module_model as module_model
import torch
from _fill import fill, out_folder, uniforms, write
from rfdetr.config import RFDETRNanoConfig, TrainConfig
from rfdetr.models._defaults import MODEL_DEFAULTS
from rfdetr.models.lwdetr import build_model_from_config
from rfdetr.training.callbacks.ema import RFDETREMACallback
from rfdetr.utilities.tensors import NestedTensor

PLACE = "packages/rfdetr/src/train/parity/fixtures/training.json"
SIDE, CLASSES = 96, 8
TINY = dict(
    resolution=SIDE,
    patch_size=8,
    num_windows=2,
    positional_encoding_size=12,
    out_feature_indexes=[2, 3],
    hidden_dim=96,
    dec_layers=2,
    sa_nheads=4,
    ca_nheads=4,
    dec_n_points=2,
    num_queries=30,
    num_select=60,
    num_classes=CLASSES,
    group_detr=3,
)
SETTINGS = dict(
    lr=4e-4,
    lr_encoder=6e-4,
    lr_vit_layer_decay=0.8,
    lr_component_decay=0.7,
    weight_decay=1e-2,
    warmup_epochs=1,
    lr_scheduler="cosine",
    lr_scheduler_kwargs={"min_factor": 0.1},
    epochs=5,
    batch_size=2,
    grad_accum_steps=2,
    clip_max_norm=0.1,
    ema_decay=0.9,
    ema_tau=10,
    multi_scale="per-batch",
    expanded_scales=True,
)
MICRO_BATCHES = 20


def image(number: int, side: int) -> np.ndarray:
    """[side, side, 3] bytes."""
    y, x, c = np.meshgrid(np.arange(side), np.arange(side), np.arange(3), indexing="ij")
    return (x * (2 + number % 5) + y * (3 + c) + ((x * y) >> 2) * (1 + c) + 31 * number) & 255


def target(number: int, count: int) -> dict[str, torch.Tensor]:
    u = uniforms(f"boxes{number}", count * 4).astype(np.float32).reshape(count, 4)
    boxes = np.concatenate([0.5 + np.float32(0.25) * u[:, :2], np.float32(0.3) + np.float32(0.2) * u[:, 2:]], 1).astype(
        np.float32
    )
    return {
        "labels": torch.tensor([(7 * k + 3 * number + 1) % CLASSES for k in range(count)], dtype=torch.int64),
        "boxes": torch.from_numpy(boxes),
    }


def micro_batch(number: int, side: int, dtype: torch.dtype, counts: list[int] | None = None):
    """Two images; 0 to 3 boxes each where their numbers are not given."""
    numbers = [2 * number, 2 * number + 1]
    counts = counts or [(n * 5 + 2) % 4 for n in numbers]
    pixels = (
        torch.from_numpy(np.stack([image(n, side) for n in numbers]).astype(np.uint8))
        .permute(0, 3, 1, 2)
        .contiguous()
        .float()
        .div(255)
    )
    pixels = (pixels - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(
        1, 3, 1, 1
    )
    mask = torch.zeros(len(numbers), side, side, dtype=torch.bool)
    targets = [
        {**target(n, count), "image_id": torch.tensor([n]), "orig_size": torch.tensor([side, side])}
        for n, count in zip(numbers, counts)
    ]
    for t in targets:
        t["boxes"] = t["boxes"].to(dtype)
    return NestedTensor(pixels.to(dtype), mask), targets


class Batches(torch.utils.data.Dataset):
    def __init__(self, count: int, side: int, dtype: torch.dtype):
        self.count, self.side, self.dtype = count, side, dtype

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return micro_batch(index, self.side, self.dtype)


class Recorder(lightning.Callback):
    """Comes after the EMA callback, so that it sees the average of the step."""

    def __init__(self, ema: RFDETREMACallback, every: int):
        self.ema, self.every, self.steps, self.states, self.pending = ema, every, [], [], []

    def on_fit_start(self, trainer, module):
        criterion = module.criterion
        criterion.register_forward_hook(
            lambda _m, _i, terms: self.pending.append({k: float(v.detach()) for k, v in terms.items()})
        )
        self.weights = criterion.weight_dict

    def on_before_optimizer_step(self, trainer, module, optimizer):
        gradients = [p.grad for p in module.model.parameters() if p.grad is not None]
        terms = {
            k: sum(t[k] for t in self.pending) / len(self.pending) for k in self.pending[0] if k.startswith("loss_")
        }
        self.steps.append(
            {
                "loss": sum(v * self.weights[k] for k, v in terms.items() if k in self.weights),
                "gradient_norm": float(
                    torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g.double()) for g in gradients]))
                ),
                "lr": optimizer.param_groups[0]["lr"],
                "size": self.size,
                "terms": terms,
            }
        )
        self.pending = []

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        self.before = trainer.global_step

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.size = None
        if trainer.global_step == self.before or trainer.global_step % self.every:
            return
        names = {p: n for n, p in module.model.named_parameters()}
        averages = dict(self.ema._average_model.module.model.named_parameters())
        groups = []
        for group in trainer.optimizers[0].param_groups:
            keys = [names[p] for p in group["params"]]
            groups.append(
                {"weights": marks(keys, dict(module.model.named_parameters())), "averages": marks(keys, averages)}
            )
        self.states.append({"step": trainer.global_step, "groups": groups})


def marks(keys: list[str], tensors: dict[str, torch.Tensor]) -> list[float]:
    """The norm of the named tensors taken as one vector, and its product with reproducible numbers."""
    flat = [tensors[k].detach().double().flatten() for k in keys]
    probe = sum(float(t @ torch.from_numpy(uniforms(f"probe {k}", t.numel()))) for k, t in zip(keys, flat))
    return [float(torch.linalg.vector_norm(torch.cat(flat))), probe]


def small_encoder(get_config):
    return lambda size, registers: {
        **get_config(size, registers),
        "hidden_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 3,
    }


def run(
    dtype: torch.dtype,
    precision: str,
    model: dict,
    settings: dict,
    micro_batches: int,
    max_steps: int = -1,
    every: int = 10,
    configs: tuple[type, type] = (RFDETRNanoConfig, TrainConfig),
    batches: type = Batches,
    prepare: Callable = lambda module: None,
) -> dict:
    train = configs[1](dataset_dir=".", output_dir=".", **settings)
    config = configs[0](device="cpu", pretrain_weights=None, **model)
    module = module_model.RFDETRModelModule(config, train)
    fill(module.model)
    module.to(dtype)
    prepare(module)
    ema = RFDETREMACallback(decay=train.ema_decay, tau=train.ema_tau, update_interval_steps=train.ema_update_interval)
    recorder = Recorder(ema, every)
    sizes = module.on_train_batch_start

    def resized(batch, batch_idx):
        sizes(batch, batch_idx)
        recorder.size = batch[0].tensors.shape[-1]

    module.on_train_batch_start = resized
    trainer = lightning.Trainer(
        accelerator="cpu",
        precision=precision,
        max_epochs=train.epochs,
        max_steps=max_steps,
        accumulate_grad_batches=train.grad_accum_steps,
        gradient_clip_val=train.clip_max_norm,
        callbacks=[ema, recorder],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    side = (
        max(module_model.compute_multi_scale_scales(config.resolution, True, config.patch_size, config.num_windows))
        if settings["multi_scale"] == "per-batch"
        else config.resolution
    )
    trainer.fit(
        module, torch.utils.data.DataLoader(batches(micro_batches, side, dtype), batch_size=None, shuffle=False)
    )
    return {"steps": recorder.steps, "states": recorder.states}


def make_small() -> None:
    """Gives the package's classes the encoder and feed-forward width of our `tiny`."""
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    dinov2.size_to_width = {**dinov2.size_to_width, "small": 96}
    dinov2.get_config = small_encoder(dinov2.get_config)
    module_model.build_model_from_config = functools.partial(
        build_model_from_config, defaults=replace(MODEL_DEFAULTS, dim_feedforward=256)
    )


def main():
    out = out_folder(__doc__)
    make_small()
    document = {
        "settings": {**SETTINGS, "micro_batches": MICRO_BATCHES},
        "float64": run(torch.float64, "32-true", TINY, SETTINGS, MICRO_BATCHES),
        "float32": run(torch.float32, "32-true", TINY, SETTINGS, MICRO_BATCHES),
        "bfloat16": run(torch.float32, "bf16-mixed", TINY, SETTINGS, MICRO_BATCHES),
    }
    write(out, PLACE, json.dumps(document, separators=(",", ":")))


if __name__ == "__main__":
    main()
