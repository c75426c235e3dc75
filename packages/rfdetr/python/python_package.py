"""Times the Python package rfdetr 1.11.2 on random data: the other side of `rfdetr bench train|infer --against
python`. Prints one JSON line.

    python_package.py train --model nano --batch 2 --precision bf16-mixed --steps 6 --warmup 2
    python_package.py infer --model nano --precision 32-true --steps 10 --warmup 3

A model with masks, such as `seg-nano`, trains on ellipses that fill the boxes, with the losses and matching costs of
masks. With random weights no score reaches the threshold, so that `predict` resizes no mask, on either side.
`bf16-mixed` puts the package's own modules under torch.autocast, which it never does by itself on a CPU.
"""

import argparse
import contextlib
import json
import logging
import os
import resource
import statistics
import sys
import time
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
parser = argparse.ArgumentParser()
parser.add_argument("what", choices=["train", "infer"])
parser.add_argument("--model", default="nano")
parser.add_argument("--batch", type=int, default=2)
parser.add_argument("--precision", default="32-true", choices=["32-true", "tf32", "bf16-mixed"])
parser.add_argument("--device", default="cpu")
parser.add_argument("--steps", type=int, default=6)
parser.add_argument("--warmup", type=int, default=2)
parser.add_argument("--boxes", type=int, default=8)
options = parser.parse_args()

import rfdetr  # noqa: E402
import torch  # noqa: E402

# Of its classes, such as SegNano and Seg2XLarge.
variant = options.model.title().replace("-", "").replace("Xl", "XL")
half = options.precision == "bf16-mixed"
device = torch.device(options.device)
on_gpu = device.type == "cuda"
# After the package, which turns TF32 on when it is imported.
torch.set_float32_matmul_precision("high" if options.precision == "tf32" else "highest")
torch.backends.cudnn.allow_tf32 = options.precision == "tf32"


def autocast():
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=half)


def now() -> float:
    """Seconds, after the device has done what it was asked for."""
    if on_gpu:
        torch.cuda.synchronize(device)
    return time.perf_counter()


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values)}


def train() -> dict:
    from rfdetr import config as configs
    from rfdetr._namespace import _namespace_from_configs
    from rfdetr.training import RFDETRModelModule
    from rfdetr.training.callbacks import RFDETREMACallback
    from rfdetr.training.param_groups import get_param_dict
    from rfdetr.utilities.tensors import NestedTensor
    from torch.optim.swa_utils import AveragedModel

    torch.manual_seed(0)
    model_config = getattr(configs, f"RFDETR{variant}Config")(pretrain_weights=None)
    masks = model_config.segmentation_head
    train_config = (configs.SegmentationTrainConfig if masks else configs.TrainConfig)(
        dataset_dir=None, batch_size=options.batch, grad_accum_steps=1, multi_scale=False
    )
    module = RFDETRModelModule(model_config, train_config).train().to(device)
    model, criterion = module.model, module.criterion
    groups = get_param_dict(_namespace_from_configs(model_config, train_config), model)
    optimizer = torch.optim.AdamW(groups, lr=1e-4, weight_decay=1e-4, fused=on_gpu)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    callback = RFDETREMACallback(decay=train_config.ema_decay, tau=train_config.ema_tau)
    average = AveragedModel(module, use_buffers=callback._use_buffers, multi_avg_fn=callback._multi_avg_fn)

    side = model_config.resolution
    padding = torch.zeros(options.batch, side, side, dtype=torch.bool, device=device)
    images = NestedTensor(torch.randn(options.batch, 3, side, side).to(device), padding)
    targets = [{k: v.to(device) for k, v in target(image, side, masks).items()} for image in range(options.batch)]

    seconds: dict[str, list[float]] = {name: [] for name in ("step", "forward", "loss", "backward", "optimizer")}
    losses = []
    for step in range(options.warmup + options.steps):
        if on_gpu and step == options.warmup:
            torch.cuda.reset_peak_memory_stats(device)
        marks = [now()]
        with autocast():
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
        marks.append(now())
        losses.append(loss.item())
        if step >= options.warmup:
            for name, value in zip(seconds, [marks[-1] - marks[0], *(b - a for a, b in zip(marks, marks[1:]))]):
                seconds[name].append(value)
    return {
        "batch": options.batch,
        "masks": masks,
        "seconds": {name: spread(values) for name, values in seconds.items()},
        "losses": losses,
        **({"peak_tensor_bytes": torch.cuda.max_memory_allocated(device)} if on_gpu else {}),
    }


def target(image: int, side: int, masks: bool) -> dict[str, torch.Tensor]:
    size = torch.rand(options.boxes, 2) * 0.3 + 0.05
    centre = torch.rand(options.boxes, 2) * (1 - size) + size / 2
    shape = torch.tensor([side, side])
    return {
        "boxes": torch.cat([centre, size], 1),
        "labels": torch.randint(0, 90, (options.boxes,)),
        "image_id": torch.tensor([image]),
        "area": size.prod(1),
        "iscrowd": torch.zeros(options.boxes, dtype=torch.int64),
        "orig_size": shape,
        "size": shape,
        **({"masks": ellipses(centre, size, side)} if masks else {}),
    }


def ellipses(centre: torch.Tensor, size: torch.Tensor, side: int) -> torch.Tensor:
    """The largest ellipse in each box: what `bench train` of this program takes for masks."""
    at = (torch.arange(side) + 0.5) / side
    x = ((at - centre[:, :1]) / size[:, :1] * 2).square()[:, None, :]
    y = ((at - centre[:, 1:]) / size[:, 1:] * 2).square()[:, :, None]
    return x + y <= 1


def infer() -> dict:
    import numpy
    from PIL import Image

    torch.manual_seed(0)
    detector = getattr(rfdetr, f"RFDETR{variant}")(pretrain_weights=None)
    network = detector.model.model.eval()
    side = detector.model.resolution
    images = torch.randn(options.batch, 3, side, side)
    picture = Image.fromarray(numpy.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=numpy.uint8))

    def milliseconds(body, autocast=autocast) -> dict[str, float]:
        laps = []
        for i in range(options.warmup + options.steps):
            start = time.perf_counter()
            with autocast():
                body()
            if i >= options.warmup:
                laps.append((time.perf_counter() - start) * 1000)
        return spread(laps)

    # Its own optimised form is TorchScript in the type asked for; what is faster is what counts.
    dtype = torch.bfloat16 if half else torch.float32
    with torch.no_grad():
        forward = milliseconds(lambda: network(images))
        plain = milliseconds(lambda: detector.predict(picture, threshold=0.5))
        detector.inference(dtype=dtype, batch_size=options.batch)
        optimised_images = images.to(dtype)
        forward_optimised = milliseconds(
            lambda: detector.model.inference_model(optimised_images), contextlib.nullcontext
        )
        if options.batch > 1:
            detector.inference(dtype=dtype)
        optimised = milliseconds(lambda: detector.predict(picture, threshold=0.5), contextlib.nullcontext)

    def faster(*candidates):
        return min(candidates, key=lambda laps: laps["median"])

    return {
        "milliseconds": {
            "forward": faster(forward, forward_optimised),
            "predict": faster(plain, optimised),
            "predict_plain": plain,
            "predict_optimised": optimised,
        }
    }


# What the package prints goes where people read; the line of data stands alone.
with contextlib.redirect_stdout(sys.stderr):
    result = train() if options.what == "train" else infer()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"model": options.model, "precision": options.precision, **result, "peak_rss_bytes": peak}))
