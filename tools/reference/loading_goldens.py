"""What the Python package makes of weights as it loads them: adapters merged by peft, position tables resized,
queries cut by group.

venv/bin/python tools/reference/loading_goldens.py packages/rfdetr/src/weights/fixtures/loading.json
"""

import json
import logging
import os
import sys
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import torch
from peft import LoraConfig, get_peft_model
from rfdetr.models import weights

torch.manual_seed(0)


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.query = torch.nn.Linear(6, 4)

    def forward(self, x):
        return self.query(x)


def adapters(dora):
    model = get_peft_model(Block(), LoraConfig(r=16, lora_alpha=16, use_dora=dora, target_modules=["query"]))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    stored = {key.removeprefix("base_model.model."): value.tolist() for key, value in model.state_dict().items()}
    return {"stored": stored, "merged": model.merge_and_unload().query.weight.tolist()}


def positions(side, to):
    table = torch.randn(1, side * side + 1, 3)
    cls, grid = table[:, :1], table[:, 1:].reshape(1, side, side, 3).permute(0, 3, 1, 2)
    resized = torch.nn.functional.interpolate(grid, size=(to, to), mode="bicubic", align_corners=False, antialias=True)
    return {"from": table.tolist(), "to": torch.cat([cls, resized.flatten(2).transpose(1, 2)], 1).tolist()}


def queries():
    stored = torch.arange(3 * 4 * 2, dtype=torch.float32).view(12, 2)
    cut = weights._slice_query_param_per_group(stored, 4, 3, 3, 2)
    return {"stored": stored.tolist(), "cut": cut.tolist()}


golden = {
    "dora": adapters(True),
    "lora": adapters(False),
    "smaller": positions(5, 3),
    "larger": positions(4, 7),
    "queries": queries(),
}
with open(sys.argv[1], "w") as file:
    json.dump(golden, file)
