"""Times OpenVINO and onnxruntime on an ONNX file of the Python package rfdetr 1.11.2: the other side of
`rfdetr bench infer --against openvino onnxruntime`. Prints one JSON line.

    onnx_runtimes.py export --model nano --batch 1 --file nano.onnx
    onnx_runtimes.py openvino --file nano.onnx --precision bf16-mixed --steps 20 --warmup 4
    onnx_runtimes.py onnxruntime --file nano.onnx --precision 32-true --steps 20 --warmup 4

Each uses the threads that it takes by itself, on the processors that this process may use. `"unavailable"` says why a precision does not run on this CPU.
"""

import argparse
import contextlib
import json
import logging
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# onnxruntime reports models and runs to its maker otherwise.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
parser = argparse.ArgumentParser()
parser.add_argument("what", choices=["export", "openvino", "onnxruntime"])
parser.add_argument("--file", required=True)
parser.add_argument("--model", default="nano")
parser.add_argument("--batch", type=int, default=1)
parser.add_argument("--precision", default="32-true", choices=["32-true", "bf16-mixed"])
parser.add_argument("--steps", type=int, default=20)
parser.add_argument("--warmup", type=int, default=4)
options = parser.parse_args()


def export() -> dict:
    import rfdetr
    import torch

    torch.manual_seed(0)
    # Of its classes, such as SegNano and Seg2XLarge.
    variant = options.model.title().replace("-", "").replace("Xl", "XL")
    detector = getattr(rfdetr, f"RFDETR{variant}")(pretrain_weights=None)
    with tempfile.TemporaryDirectory() as folder:
        detector.export(output_dir=folder, batch_size=options.batch, verbose=False)
        (written,) = [name for name in os.listdir(folder) if name.endswith(".onnx")]
        shutil.move(os.path.join(folder, written), options.file)
    return {"file": options.file}


def timed(run, shape) -> dict:
    import numpy

    images = numpy.random.default_rng(0).standard_normal([int(side) for side in shape], dtype=numpy.float32)
    laps = []
    for i in range(options.warmup + options.steps):
        start = time.perf_counter()
        run(images)
        if i >= options.warmup:
            laps.append((time.perf_counter() - start) * 1000)
    return {"milliseconds": {"forward": {"median": statistics.median(laps), "min": min(laps)}}}


def onnxruntime() -> dict:
    import onnxruntime

    if options.precision != "32-true":
        return {"unavailable": "onnxruntime has no bfloat16 on CPUs"}
    settings = onnxruntime.SessionOptions()
    # By itself it takes all processors of the machine, and leaves those that it was bound to.
    settings.intra_op_num_threads = len(os.sched_getaffinity(0))
    session = onnxruntime.InferenceSession(options.file, settings, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    return {
        "version": onnxruntime.__version__,
        **timed(lambda images: session.run(None, {given.name: images}), given.shape),
    }


def openvino() -> dict:
    import openvino

    asked = "bf16" if options.precision == "bf16-mixed" else "f32"
    core = openvino.Core()
    model = core.compile_model(
        core.read_model(options.file), "CPU", {"INFERENCE_PRECISION_HINT": asked, "PERFORMANCE_HINT": "LATENCY"}
    )
    used = model.get_property("INFERENCE_PRECISION_HINT").to_string()
    if used != asked and used != {"bf16": "bfloat16", "f32": "float32"}[asked]:
        return {"unavailable": f"OpenVINO computes {used} on this CPU"}
    return {
        "version": openvino.__version__,
        "threads": model.get_property("INFERENCE_NUM_THREADS"),
        **timed(lambda images: model([images]), model.inputs[0].shape),
    }


# What the libraries print goes where people read; the line of data stands alone.
with contextlib.redirect_stdout(sys.stderr):
    result = {"export": export, "openvino": openvino, "onnxruntime": onnxruntime}[options.what]()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"precision": options.precision, **result, "peak_rss_bytes": peak}))
