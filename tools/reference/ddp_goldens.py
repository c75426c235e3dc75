"""Ten steps of two processes of the Python package (rfdetr 1.11.2): its Lightning module, criterion and parameter
groups under torch's DistributedDataParallel over Gloo, in float64.

The strategy is the one that the package makes for strategy="ddp". Model, images and settings are those of
training_goldens.py; rank r of step s takes micro-batch 2 s + r. The numbers of boxes are chosen so that the ranks
differ, that one has none, that both have none, and that there is one in all. Written: of each rank the terms of its
loss, and of every parameter the norm of its averaged gradient with a projection that sees signs and places.

    python tools/reference/ddp_goldens.py
"""

import functools
import json
import logging
import os
import socket
import warnings
from dataclasses import replace
from pathlib import Path

import pytorch_lightning as lightning
import rfdetr.models.backbone.dinov2 as dinov2
import rfdetr.training.module_model as module_model
import torch
from _fill import fill, out_folder, uniforms, write
from pytorch_lightning.strategies import DDPStrategy
from rfdetr.config import RFDETRNanoConfig, TrainConfig
from rfdetr.models._defaults import MODEL_DEFAULTS
from rfdetr.models.lwdetr import build_model_from_config
from training_goldens import TINY, micro_batch, small_encoder

PLACE = "packages/rfdetr/src/train/parity/fixtures/ddp.json"
STEPS, RANKS = 10, 2
# Boxes of the images of each step: two of rank 0, two of rank 1.
BOXES = [
    [2, 3, 0, 1],
    [1, 0, 3, 3],
    [0, 2, 0, 0],
    [3, 1, 2, 2],
    [0, 0, 0, 0],
    [0, 0, 3, 2],
    [1, 0, 0, 0],
    [2, 2, 1, 3],
    [0, 1, 2, 0],
    [3, 3, 3, 1],
]
SETTINGS = dict(
    lr=4e-4,
    lr_encoder=6e-4,
    lr_vit_layer_decay=0.8,
    lr_component_decay=0.7,
    weight_decay=1e-2,
    lr_scheduler="step",
    epochs=1,
    batch_size=2,
    grad_accum_steps=1,
    clip_max_norm=0.1,
    multi_scale="per-batch",
    expanded_scales=True,
)


class Shard(torch.utils.data.Dataset):
    """The micro-batches of one rank."""

    def __init__(self, rank: int, side: int):
        self.rank, self.side = rank, side

    def __len__(self):
        return STEPS

    def __getitem__(self, step):
        counts = BOXES[step][2 * self.rank : 2 * self.rank + 2]
        return micro_batch(step * RANKS + self.rank, self.side, torch.float64, counts)


class Recorder(lightning.Callback):
    def __init__(self):
        self.steps, self.terms = [], None

    def on_fit_start(self, trainer, module):
        self.weights = module.criterion.weight_dict
        module.criterion.register_forward_hook(self.criterion_ended)

    def criterion_ended(self, _module, _inputs, terms):
        self.terms = {k: float(v.detach()) for k, v in terms.items() if k.startswith("loss_")}

    def on_before_optimizer_step(self, trainer, module, optimizer):
        # Lightning clips after this call.
        gradients = {
            name: None if p.grad is None else p.grad.detach().double().flatten()
            for name, p in module.model.named_parameters()
        }
        there = [g for g in gradients.values() if g is not None]
        self.steps.append(
            {
                "size": self.size,
                "loss": sum(v * self.weights[k] for k, v in self.terms.items() if k in self.weights),
                "terms": self.terms,
                "gradient_norm": float(torch.linalg.vector_norm(torch.cat(there))),
                "gradients": {k: None if g is None else marks(k, g) for k, g in gradients.items()},
            }
        )


def marks(name: str, gradient: torch.Tensor) -> list[float]:
    """The norm of a gradient, and its product with reproducible numbers; twelve digits."""
    probe = torch.from_numpy(uniforms(f"probe {name}", gradient.numel()))
    return [float(f"{float(v):.12g}") for v in (torch.linalg.vector_norm(gradient), gradient @ probe)]


def rank_main(rank: int, port: int, folder: str):
    """One process, with the variables that torchrun would give it."""
    here = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": RANKS, "LOCAL_WORLD_SIZE": RANKS, "GROUP_RANK": 0}
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "goldens"}
    os.environ.update({k: str(v) for k, v in {**here, **place}.items()})
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    dinov2.size_to_width = {**dinov2.size_to_width, "small": 96}
    dinov2.get_config = small_encoder(dinov2.get_config)
    module_model.build_model_from_config = functools.partial(
        build_model_from_config, defaults=replace(MODEL_DEFAULTS, dim_feedforward=256)
    )
    train = TrainConfig(dataset_dir=".", output_dir=".", **SETTINGS)
    config = RFDETRNanoConfig(device="cpu", pretrain_weights=None, **TINY)
    module = module_model.RFDETRModelModule(config, train)
    fill(module.model)
    module.to(torch.float64)
    recorder = Recorder()
    sizes = module.on_train_batch_start

    def resized(batch, batch_idx):
        sizes(batch, batch_idx)
        recorder.size = batch[0].tensors.shape[-1]

    module.on_train_batch_start = resized
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=RANKS,
        strategy=DDPStrategy(
            find_unused_parameters=True, static_graph=True, gradient_as_bucket_view=True, process_group_backend="gloo"
        ),
        use_distributed_sampler=False,
        max_epochs=1,
        gradient_clip_val=train.clip_max_norm,
        callbacks=[recorder],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    scales = module_model.compute_multi_scale_scales(config.resolution, True, config.patch_size, config.num_windows)
    shard = Shard(rank, max(scales))
    trainer.fit(module, torch.utils.data.DataLoader(shard, batch_size=None, shuffle=False))
    (Path(folder) / f"{rank}.json").write_text(json.dumps(recorder.steps))


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def main():
    import tempfile

    out = out_folder(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(rank_main, (free_port(), folder), nprocs=RANKS)
        ranks = [json.loads((Path(folder) / f"{r}.json").read_text()) for r in range(RANKS)]
    names = list(ranks[0][0]["gradients"])
    steps = []
    for first, second in zip(*ranks):
        for same in ("size", "gradient_norm", "gradients"):
            assert first[same] == second[same], f"the ranks differ in {same}"
        steps.append(
            {
                "size": first["size"],
                "ranks": [{"loss": r["loss"], "terms": r["terms"]} for r in (first, second)],
                "gradient_norm": first["gradient_norm"],
                "gradients": [first["gradients"][name] for name in names],
            }
        )
    document = {"settings": SETTINGS, "boxes": BOXES, "names": names, "steps": steps}
    write(out, PLACE, json.dumps(document, separators=(",", ":")))


if __name__ == "__main__":
    main()
