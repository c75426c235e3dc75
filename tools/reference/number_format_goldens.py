"""Golden numbers for number formats: tensors that torch and torchao round to FP8, MXFP8, MXFP4, NVFP4 and int8.

    python3 -m venv venv && venv/bin/pip install torch==2.15.0 torchao==0.18.0
    python tools/reference/number_format_goldens.py > packages/amp/src/formats/fixtures/number-formats.json

Float32 values in base64. Of the matrices with a value that is not finite: zero for values that stay finite."""

import base64
import json

import torch
import torchao
from torchao.float8.config import ScalingGranularity
from torchao.float8.float8_scaling_utils import hp_tensor_to_float8_dynamic
from torchao.float8.float8_training_tensor import LinearMMConfig
from torchao.prototype.mx_formats.kernels import f4_unpacked_to_f32, unpack_uint4
from torchao.prototype.mx_formats.mx_tensor import MXTensor, to_mx
from torchao.prototype.mx_formats.nvfp4_tensor import NVFP4Tensor, nvfp4_quantize, per_tensor_amax_to_scale
from torchao.prototype.quantized_training.int8 import quantize_int8_rowwise


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


def broken(x):
    """What torchao's tensors represent of a matrix that is not finite."""

    def fp8(dtype, granularity, dim):
        scaled = hp_tensor_to_float8_dynamic(
            x, dtype, LinearMMConfig(), scaling_granularity=granularity, axiswise_dim=dim
        )
        return scaled.to_original_precision()

    values, scale = quantize_int8_rowwise(x)
    nvfp4 = NVFP4Tensor.to_nvfp4(x, per_tensor_scale=per_tensor_amax_to_scale(x.abs().amax()))
    return {
        "fp8": fp8(torch.float8_e4m3fn, ScalingGranularity.TENSORWISE, None),
        "fp8 gradients": fp8(torch.float8_e5m2, ScalingGranularity.TENSORWISE, None),
        "fp8-rows": fp8(torch.float8_e4m3fn, ScalingGranularity.AXISWISE, -1),
        "mxfp8": microscaled(x, torch.float8_e4m3fn)[0],
        "mxfp4": microscaled(x, torch.float4_e2m1fn_x2)[0],
        "nvfp4": nvfp4.dequantize(torch.float32),
        "int8": values.float() * scale.view(-1, 1),
    }


def main():
    assert torchao.__version__ == "0.18.0"
    torch.manual_seed(0)
    x = torch.randn(6, 64) * 2.0 ** torch.randint(-20, 12, (6, 64))
    x[2] = 0  # a row, and so blocks, of zeros
    x[3] *= 2.0**-40
    x[4, :32] *= 2.0**-100  # with subnormal values
    grid = torch.cat([torch.linspace(-1.1, 1.1, 121) * s for s in (448, 57344, 6, 2.0**-6, 2.0**-14)])
    out = {"x": bits(x), "grid": bits(grid), "elements": {}, "matrices": {}, "broken": {}}
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
    for name, value in (("inf", float("inf")), ("-inf", -float("inf")), ("nan", float("nan"))):
        damaged = x[:2].clone()
        damaged[1, 5] = value
        out["broken"][name] = {n: bits(v.where(~v.isfinite(), 0)) for n, v in broken(damaged).items()}
    print(json.dumps(out, separators=(",", ":")))


if __name__ == "__main__":
    main()
