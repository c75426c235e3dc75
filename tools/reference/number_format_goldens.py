"""Golden numbers for number formats: tensors that torch and torchao round to FP8, MXFP8, MXFP4, NVFP4 and int8.

    python3 -m venv venv && venv/bin/pip install torch==2.15.0 torchao==0.18.0
    python tools/reference/number_format_goldens.py > packages/amp/src/formats/fixtures/number-formats.json

Float32 values in base64."""

import base64
import json

import torch
import torchao
from torchao.prototype.mx_formats.kernels import f4_unpacked_to_f32, unpack_uint4
from torchao.prototype.mx_formats.mx_tensor import MXTensor, to_mx
from torchao.prototype.mx_formats.nvfp4_tensor import nvfp4_quantize


def bits(tensor):
    return base64.b64encode(tensor.contiguous().numpy().tobytes()).decode()


def elements(x, dtype):
    """Rounds to an FP8 type, saturating."""
    largest = torch.finfo(dtype).max
    return x.clamp(-largest, largest).to(dtype).float()


def scaled(x, dtype, dim):
    largest = torch.finfo(dtype).max
    amax = x.abs().amax() if dim is None else x.abs().amax(dim, keepdim=True)
    scale = torch.where(amax > 0, torch.full_like(amax, largest) / amax, torch.ones_like(amax))
    return elements(x * scale, dtype), 1 / scale


def microscaled(x, dtype):
    scale, data = to_mx(x, dtype, 32)
    tensor = MXTensor(data, scale, dtype, 32, torch.float32, None, None, False)
    return tensor.dequantize(torch.float32), None


def nvfp4(x):
    all_of_it = x.abs().amax() / (448 * 6)
    scale, data = nvfp4_quantize(x, 16, all_of_it)
    values = f4_unpacked_to_f32(unpack_uint4(data)).view(x.shape[0], -1, 16)
    return (values * scale.float().unsqueeze(-1)).view(x.shape), all_of_it


def whole_numbers(x):
    amax = x.abs().amax(-1, keepdim=True)
    scale = torch.where(amax > 0, torch.full_like(amax, 127) / amax, torch.ones_like(amax))
    return (x * scale).round().clamp(-127, 127), 1 / scale


def main():
    assert torchao.__version__ == "0.18.0"
    torch.manual_seed(0)
    x = torch.randn(6, 64) * 2.0 ** torch.randint(-20, 12, (6, 64))
    x[2] = 0  # a row, and so blocks, of zeros
    x[3] *= 2.0**-40
    x[4, :32] *= 2.0**-100  # with subnormal values
    grid = torch.cat([torch.linspace(-1.1, 1.1, 121) * s for s in (448, 57344, 6, 2.0**-6, 2.0**-14)])
    out = {"x": bits(x), "grid": bits(grid), "elements": {}, "matrices": {}}
    out["elements"]["e4m3"] = bits(elements(grid, torch.float8_e4m3fn))
    out["elements"]["e5m2"] = bits(elements(grid, torch.float8_e5m2))
    tables = {
        "fp8": scaled(x, torch.float8_e4m3fn, None),
        "fp8 gradients": scaled(x, torch.float8_e5m2, None),
        "fp8-rows": scaled(x, torch.float8_e4m3fn, -1),
        "mxfp8": microscaled(x, torch.float8_e4m3fn),
        "mxfp4": microscaled(x, torch.float4_e2m1fn_x2),
        "nvfp4": nvfp4(x),
        "int8": whole_numbers(x),
    }
    for name, (values, scale) in tables.items():
        out["matrices"][name] = {"values": bits(values), "scale": None if scale is None else bits(scale)}
    print(json.dumps(out, separators=(",", ":")))


if __name__ == "__main__":
    main()
