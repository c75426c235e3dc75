"""The Python package's side of export-parity.mjs.

export_parity.py make VARIANT FOLDER     a random model whose scores spread: FOLDER/VARIANT.pth, and the package's own
                                         .onnx of it, FOLDER/python.onnx
export_parity.py check FOLDER            checks FOLDER/ours.onnx and FOLDER/gathers.onnx with ONNX's checker and strict
                                         shape inference, runs them and python.onnx in onnxruntime, in OpenVINO, and
                                         through the package's own readers; prints one line of JSON
"""

import json
import logging
import os
import sys
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import numpy as np


def make(variant, folder):
    import torch
    from rfdetr import RFDETR
    from rfdetr import config as configs
    from rfdetr.training import RFDETRModelModule

    torch.manual_seed(0)
    name = "RFDETR" + "".join(word.capitalize() for word in variant.split("-"))
    config = getattr(configs, f"{name}Config")(pretrain_weights=None)
    train = configs.TrainConfig(dataset_dir=".", output_dir=".")
    model = RFDETRModelModule(config, train).model
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    path = os.path.join(folder, f"{variant}.pth")
    torch.save(
        {
            "model": model.state_dict(),
            "args": train.model_dump(),
            "model_name": name,
            "model_config": config.model_dump(),
            "epoch": 0,
        },
        path,
    )
    made = os.path.join(folder, "made")
    RFDETR.from_checkpoint(path).export(output_dir=made, opset_version=17, verbose=False)
    (file,) = [each for each in os.listdir(made) if each.endswith(".onnx")]
    os.rename(os.path.join(made, file), os.path.join(folder, "python.onnx"))


def images(side):
    """Photograph-like: blurred noise with grain, normalised."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(-1.5, 1.5, (1, 3, side // 32, side // 32)).astype(np.float32)
    return np.repeat(np.repeat(coarse, 32, 2), 32, 3) + 0.2 * rng.standard_normal((1, 3, side, side)).astype(np.float32)


def apart(a, b, side):
    """Largest difference in pixels and score of the 100 best queries, each held to the nearest query of the other."""
    (boxes, logits), (others, other_logits) = a, b
    scores, other_scores = (1 / (1 + np.exp(-each[0])) for each in (logits, other_logits))
    best = np.argsort(-scores.max(1))[:100]
    box = np.abs(boxes[0][best][:, None] - others[0][None]).max(2) * side
    row = scores[best].argmax(1)
    score = np.abs(scores[best, row][:, None] - other_scores[:, row].T)
    nearest = (box + 100 * score).argmin(1)
    place = np.arange(len(best))
    return {"px": float(box[place, nearest].max()), "score": float(score[place, nearest].max())}


def readers(path, theirs, x):
    """What the package's readers of ONNX and OpenVINO give for our file and for its own: detections and box error."""
    from PIL import Image
    from rfdetr.export._onnx import inference
    from rfdetr.export.inference import OpenVINOInference

    picture = os.path.join(os.path.dirname(path), "picture.png")
    Image.fromarray(np.clip(x[0].transpose(1, 2, 0) * 50 + 128, 0, 255).astype(np.uint8)).save(picture)
    sessions = [inference._create_onnx_session(each) for each in (path, theirs)]
    found = [inference._run_inference(session, picture, threshold=0.3)[0] for session in sessions]
    same = len(found[0]) == len(found[1]) and bool(np.allclose(found[0].xyxy, found[1].xyxy, atol=0.05))
    boxes, logits = (OpenVINOInference(path, device="CPU").infer(x))[:2]
    return {"detections": len(found[0]), "same": same, "openvino": [list(boxes.shape), list(logits.shape)]}


def check(folder):
    import onnx
    import onnxruntime
    import openvino

    result = {}
    outputs = {}
    files = ["python", "ours", "gathers"]
    for name in files:
        path = os.path.join(folder, f"{name}.onnx")
        model = onnx.load(path)
        result[name] = {"nodes": len(model.graph.node), "bytes": os.path.getsize(path)}
        if name != "python":
            onnx.checker.check_model(model, full_check=True)
            onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        side = session.get_inputs()[0].shape[2]
        x = images(side)
        outputs[name] = session.run(["dets", "labels"], {"input": x})
        if name != "python":
            compiled = openvino.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
            answer = compiled({"input": x})
            result[name]["openvino"] = apart(outputs["python"], [answer["dets"], answer["labels"]], side)
            result[name]["python"] = apart(outputs["python"], outputs[name], side)
            result[name]["readers"] = readers(path, os.path.join(folder, "python.onnx"), x)
    try:
        import onnxsim

        simple, _ = onnxsim.simplify(onnx.load(os.path.join(folder, "python.onnx")))
        result["python"]["simplified"] = len(simple.graph.node)
    except ImportError:
        pass
    print(json.dumps(result))


if sys.argv[1] == "make":
    make(sys.argv[2], sys.argv[3])
else:
    check(sys.argv[2])
