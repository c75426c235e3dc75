"""Golden numbers for 8-bit moments of the optimizer.

    python3 -m venv venv && venv/bin/pip install torch==2.15.0 torchao==0.18.0 bitsandbytes==0.50.2
    python tools/reference/moments_goldens.py > packages/torch/src/optim/fixtures/moments.json

The dynamic maps, and blocks of 256 values as torchao rounds them and as bitsandbytes reads them back, in base64. The
maps are those of libtorch without vector instructions: with AVX2 it rounds 73 of their 512 values otherwise. The native
CPU code of bitsandbytes 0.50 searches the map only roughly (of normal numbers 0.2 % get another code, of their squares
3 %), so that its rounding is no golden; its portable code agrees with torchao's. No
block is below 1e-12, to which torchao raises the scale. A second moment that torchao rounds to zero gets the smallest
value of the map here, as in this program."""

import base64
import json
import os

os.environ["ATEN_CPU_CAPABILITY"] = "default"

import bitsandbytes  # noqa: E402
import torch  # noqa: E402
import torchao  # noqa: E402
from bitsandbytes import functional  # noqa: E402
from torchao.optim import quant_utils  # noqa: E402


def text(tensor: torch.Tensor) -> str:
    return base64.b64encode(tensor.contiguous().numpy().tobytes()).decode()


def random(scale: float, spread: float, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(2, 512, generator=generator)
    return normal[0] * torch.exp(normal[1] * spread) * scale


maps = {signed: torch.tensor(quant_utils.create_dynamic_map(signed=signed)) for signed in (True, False)}
for signed, values in maps.items():
    assert torch.equal(values, functional.create_dynamic_map(signed=signed))

cases = []
for name, made in [
    ("normal numbers", random(1, 0, 1)),
    ("numbers over many magnitudes", random(1e-5, 4, 2)),
    ("large numbers", random(1e30, 1, 3)),
    ("small numbers", random(1e-4, 1, 4)),
    ("equal numbers", torch.full((256,), 0.3)),
    ("the middles between values of the map", None),
]:
    for signed in (True, False):
        if made is None:
            values = torch.cat([torch.tensor([1.0]), (maps[signed][:-1] + maps[signed][1:]) / 2])
        else:
            values = made if signed else made.square() if made.abs().max() < 1e15 else made.abs()
        scaled, scales = quant_utils.scale_tensor(values, 256)
        codes = quant_utils.quantize_8bit_with_qmap(scaled, maps[signed])
        if not signed:
            codes = torch.where((codes == 0) & (values > 0), 1, codes)
        decoded = functional.dequantize_blockwise(codes, absmax=scales, code=maps[signed], blocksize=256)
        assert torch.equal(decoded, quant_utils.dequant_with_qmap(codes, maps[signed], scales))
        cases.append(
            {
                "name": f"{name}, {'with' if signed else 'without'} sign",
                "signed": signed,
                "values": text(values),
                "codes": text(codes),
                "scales": text(scales),
                "decoded": text(decoded),
            }
        )
print(
    json.dumps(
        {
            "torch": torch.__version__,
            "torchao": torchao.__version__,
            "bitsandbytes": bitsandbytes.__version__,
            "maps": {"signed": text(maps[True]), "unsigned": text(maps[False])},
            "cases": cases,
        }
    )
)
