"""Times training steps of the Python package rfdetr 1.11.2 on random data and prints one JSON line.

    python3 -m venv venv && venv/bin/pip install torch==2.15.0 'rfdetr[train]==1.11.2'
    venv/bin/python bench/peer_train.py --model nano --batch 2 --precision 32-true --steps 6

`bf16-mixed` puts the package's own modules and criterion under torch.autocast, which its train() never does on a CPU.
"""
import argparse
import json
import logging
import os
import resource
import statistics
import time
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
parser = argparse.ArgumentParser()
parser.add_argument("--model", default="nano")
parser.add_argument("--batch", type=int, default=2)
parser.add_argument("--precision", default="32-true", choices=["32-true", "bf16-mixed"])
parser.add_argument("--steps", type=int, default=6)
parser.add_argument("--warmup", type=int, default=2)
parser.add_argument("--boxes", type=int, default=8)
parser.add_argument("--threads", type=int, default=2)
options = parser.parse_args()

import torch  # noqa: E402

torch.set_num_threads(options.threads)
from rfdetr import config as configs  # noqa: E402
from rfdetr._namespace import _namespace_from_configs  # noqa: E402
from rfdetr.training import RFDETRModelModule  # noqa: E402
from rfdetr.training.callbacks import RFDETREMACallback  # noqa: E402
from rfdetr.training.param_groups import get_param_dict  # noqa: E402
from rfdetr.utilities.tensors import NestedTensor  # noqa: E402
from torch.optim.swa_utils import AveragedModel  # noqa: E402

torch.manual_seed(0)
model_config = getattr(configs, f"RFDETR{options.model.capitalize()}Config")(pretrain_weights=None)
train_config = configs.TrainConfig(dataset_dir=None, batch_size=options.batch, grad_accum_steps=1, multi_scale=False)
module = RFDETRModelModule(model_config, train_config).train()
model, criterion = module.model, module.criterion
optimizer = torch.optim.AdamW(get_param_dict(_namespace_from_configs(model_config, train_config), model), lr=1e-4, weight_decay=1e-4, fused=False)
parameters = [p for group in optimizer.param_groups for p in group["params"]]
callback = RFDETREMACallback(decay=train_config.ema_decay, tau=train_config.ema_tau)
average = AveragedModel(module, use_buffers=callback._use_buffers, multi_avg_fn=callback._multi_avg_fn)

side = model_config.resolution
images = NestedTensor(torch.randn(options.batch, 3, side, side), torch.zeros(options.batch, side, side, dtype=torch.bool))
targets = []
for i in range(options.batch):
    size = torch.rand(options.boxes, 2) * 0.3 + 0.05
    centre = torch.rand(options.boxes, 2) * (1 - size) + size / 2
    shape = torch.tensor([side, side])
    targets.append({"boxes": torch.cat([centre, size], 1), "labels": torch.randint(0, 90, (options.boxes,)), "image_id": torch.tensor([i]), "area": size.prod(1), "iscrowd": torch.zeros(options.boxes, dtype=torch.int64), "orig_size": shape, "size": shape})

seconds: dict[str, list[float]] = {name: [] for name in ("step", "forward", "loss", "backward", "optimizer")}
losses = []
for step in range(options.warmup + options.steps):
    marks = [time.perf_counter()]
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.precision == "bf16-mixed"):
        outputs = model(images, targets)
        marks.append(time.perf_counter())
        terms = criterion(outputs, targets)
        loss = torch.stack([terms[k] * criterion.weight_dict[k] for k in terms if k in criterion.weight_dict]).sum()
    marks.append(time.perf_counter())
    loss.backward()
    marks.append(time.perf_counter())
    torch.nn.utils.clip_grad_norm_(parameters, train_config.clip_max_norm)
    optimizer.step()
    optimizer.zero_grad()
    average.update_parameters(module)
    marks.append(time.perf_counter())
    losses.append(loss.item())
    if step >= options.warmup:
        for name, value in zip(seconds, [marks[-1] - marks[0], *(b - a for a, b in zip(marks, marks[1:]))]):
            seconds[name].append(value)
print(json.dumps({"model": options.model, "batch": options.batch, "precision": options.precision, "seconds": {name: {"median": statistics.median(values), "min": min(values)} for name, values in seconds.items()}, "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "losses": losses}))
