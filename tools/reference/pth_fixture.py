"""A small checkpoint with everything that real ones hold: all dtypes, views, parameters, ordered and nested
containers, a namespace.

venv/bin/python tools/reference/pth_fixture.py packages/torch/src/pth/fixtures/small.pth
"""

import argparse
import collections
import sys

import torch

base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
dtypes = [
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
]
torch.save(
    {
        "model": collections.OrderedDict(
            base=base,
            transposed=base.t(),
            slice=base[1:3, 2:5],
            expanded=base[0:1, :1].expand(3, 2),
            scalar=torch.tensor(2.5),
            empty=torch.zeros(0, 3),
            parameter=torch.nn.Parameter(base[0].clone()),
        ),
        "dtypes": {str(d).removeprefix("torch."): torch.tensor([1, 0, 1], dtype=d) for d in dtypes},
        "args": argparse.Namespace(
            lr=1e-4, name="näme", flags=[True, False, None], nested={"a": (1, -2, 3.5, 2**40, -(2**70))}
        ),
        "size": torch.Size([1, 2]),
        "dtype": torch.float16,
        "set": {1, 2},
    },
    sys.argv[1],
)
