"""The Python package's side of export-parity.mjs.

export_parity.py make VARIANT FOLDER     a random model whose scores spread: FOLDER/VARIANT.pth, and the package's own
                                         .onnx of it, FOLDER/python.onnx
export_parity.py check FOLDER            checks FOLDER/ours.onnx and FOLDER/gathers.onnx with ONNX's checker and strict
                                         shape inference, runs them and python.onnx in onnxruntime, in OpenVINO, and
                                         through the package's own readers on FOLDER/picture.png; prints a line of JSON
"""

import json
import logging
import os
import sys
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
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
        # Proposals of random weights have nearly equal scores, and rounding changes their order. With the same learned
        # query for each, the order makes no difference.
        for weight in (model.query_feat.weight, model.refpoint_embed.weight):
            weight.copy_(weight[:1].expand_as(weight).clone())
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


def between(session, picture, count):
    """A threshold that `count` detections or more are above: in the widest gap between scores there."""
    from rfdetr.export._onnx import inference

    scores = inference._run_inference(session, picture, threshold=0.0)[0].confidence
    scores = np.sort(scores)[::-1][count : 2 * count + 1]
    gap = (scores[:-1] - scores[1:]).argmax()
    return float((scores[gap] + scores[gap + 1]) / 2)


def readers(paths, x):
    """What the package's readers of ONNX and OpenVINO give for our files and for its own: detections of a picture."""
    from PIL import Image
    from rfdetr.export._onnx import inference
    from rfdetr.export.inference import OpenVINOInference

    picture = os.path.join(os.path.dirname(paths["python"]), "picture.png")
    pixels = np.clip(x[0].transpose(1, 2, 0) * 50 + 128, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).resize((640, 480)).save(picture)
    threshold, found = None, {}
    for name, path in paths.items():
        session = inference._create_onnx_session(path)
        threshold = threshold or between(session, picture, 20)
        boxes, logits = (OpenVINOInference(path, device="CPU").infer(x))[:2]
        detections = inference._run_inference(session, picture, threshold=threshold)[0]
        found[name] = {
            "boxes": detections.xyxy.tolist(),
            "scores": detections.confidence.tolist(),
            "classes": detections.class_id.tolist(),
            "openvino": apart(session.run(["dets", "labels"], {"input": x}), [boxes, logits], x.shape[2]),
        }
    return {"picture": picture, "threshold": threshold, "found": found}


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
    result["readers"] = readers({name: os.path.join(folder, f"{name}.onnx") for name in files}, x)
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
