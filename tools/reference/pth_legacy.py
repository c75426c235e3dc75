"""The checkpoint of pth_fixture.py's base tensors in the format before torch 1.6.

venv/bin/python tools/reference/pth_legacy.py packages/torch/src/pth/fixtures/legacy.pth
"""

import argparse
import collections
import sys

import torch

base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
torch.save(
    {
        "model": collections.OrderedDict(
            base=base,
            transposed=base.t(),
            slice=base[1:3, 2:5],
            half=torch.tensor([1.5, -2.0], dtype=torch.float16),
            counts=torch.tensor([1, 2, 3]),
        ),
        "args": argparse.Namespace(lr=1e-4, class_names=["a", "b"]),
        "epoch": 3,
    },
    sys.argv[1],
    _use_new_zipfile_serialization=False,
)
