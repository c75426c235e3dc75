"""Goldens of the segmentation models from the Python package: key lists, masks of all layers, gradients.

Run in an environment with `rfdetr[train]==1.11.2`:
    python tools/reference/segmentation_goldens.py packages/rfdetr/src/model/parity/fixtures/segmentation.json
"""

import json
import sys

import torch
from _fill import fill
from _model import build, digest, images, shapes_of, summary
from rfdetr.models.postprocess import PostProcess

# Parameters whose gradient norms are watched: the head, what it reads, and the start of the encoder.
WATCHED = [
    "segmentation_head.bias",
    "segmentation_head.blocks.0.dwconv.weight",
    "segmentation_head.blocks.0.dwconv.bias",
    "segmentation_head.blocks.0.norm.weight",
    "segmentation_head.blocks.3.pwconv1.weight",
    "segmentation_head.spatial_features_proj.weight",
    "segmentation_head.query_features_block.norm_in.weight",
    "segmentation_head.query_features_block.layers.0.weight",
    "segmentation_head.query_features_block.layers.2.bias",
    "segmentation_head.query_features_proj.weight",
    "backbone.0.projector.stages.0.1.weight",
    "backbone.0.encoder.encoder.embeddings.cls_token",
    "transformer.enc_output.12.weight",
    "transformer.decoder.norm.weight",
    "query_feat.weight",
]


def filled(training: bool):
    model = build("RFDETRSegNanoConfig")
    fill(model)
    return model.double().train(training)


def layers(out) -> dict:
    """All predictions by name."""
    return {"last": out, **{f"aux{i}": aux for i, aux in enumerate(out["aux_outputs"])}, "enc": out["enc_outputs"]}


def evaluation(height: int, width: int) -> dict:
    with torch.no_grad():
        out = filled(False)(images(2, height, width))
    scored = PostProcess(num_select=20)(out, torch.tensor([[240, 320], [97, 61]]))
    return {
        "size": [height, width],
        "predLogits": summary(out["pred_logits"]),
        "predBoxes": summary(out["pred_boxes"]),
        "masks": {name: summary(layer["pred_masks"]) for name, layer in layers(out).items()},
        # Pixels of the 20 best detections in images of other sizes than the input.
        "areas": [image["masks"].flatten(1).sum(1).tolist() for image in scored],
    }


def training(height: int, width: int) -> dict:
    """Sparse masks of 13 groups, and the gradients of a sum over every output; no loss, since that draws points."""
    model = filled(True)
    found = layers(model(images(2, height, width)))
    total = torch.zeros((), dtype=torch.float64)
    for layer in found.values():
        sparse = layer["pred_masks"]
        some = sparse["query_features"][:, ::13]
        dense = torch.einsum("bchw,bnc->bnhw", sparse["spatial_features"], some) + sparse["bias"]
        total = total + layer["pred_logits"].square().mean() + layer["pred_boxes"].square().mean()
        total = total + dense.square().mean() / 100
    total.backward()
    norms = {key: p.grad.norm().item() for key, p in model.named_parameters() if p.grad is not None}
    return {
        "size": [height, width],
        "masks": {
            name: {
                "spatialFeatures": summary(layer["pred_masks"]["spatial_features"]),
                "queryFeatures": summary(layer["pred_masks"]["query_features"]),
            }
            for name, layer in found.items()
        },
        "total": total.item(),
        "norm": sum(norm**2 for norm in norms.values()) ** 0.5,
        "norms": {key: norms[key] for key in WATCHED},
    }


names = {
    "seg-preview": "RFDETRSegPreviewConfig",
    "seg-nano": "RFDETRSegNanoConfig",
    "seg-small": "RFDETRSegSmallConfig",
    "seg-medium": "RFDETRSegMediumConfig",
    "seg-large": "RFDETRSegLargeConfig",
    "seg-xlarge": "RFDETRSegXLargeConfig",
    "seg-2xlarge": "RFDETRSeg2XLargeConfig",
}
goldens = {
    "keys": {variant: digest(shapes_of(build(name))) for variant, name in names.items()},
    "square": evaluation(312, 312),
    "rectangle": evaluation(252, 372),
    "training": training(312, 312),
}
with open(sys.argv[1], "w") as file:
    json.dump(goldens, file, indent=1)
    file.write("\n")
