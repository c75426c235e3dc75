"""Photograph-like images in the formats that users have, and what the Python package's predict() finds in them.

    venv/bin/python tools/reference/predict_goldens.py packages/rfdetr/src/predict/fixtures

The model is Nano with the weights of model_goldens.py and heads whose scores spread, so that the order of detections
does not hang on rounding. Pixels are kept as a checksum of Pillow's RGB conversion, and every 997th byte."""

import hashlib
import json
import logging
import os
import sys
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
sys.path.insert(0, os.path.dirname(__file__))

import numpy as np
import torch
from _fill import value
from PIL import Image, ImageDraw
from rfdetr import RFDETRNano

out = sys.argv[1]
os.makedirs(out, exist_ok=True)


def photograph(width, height, seed):
    """Smooth light, soft noise and a few objects with edges."""
    rng = np.random.RandomState(seed)
    y, x = np.mgrid[0:height, 0:width]
    channels = [
        128 + 70 * np.sin(x / (23 + 9 * c) + seed) * np.cos(y / (31 - 5 * c)) + 30 * (y / height - 0.5)
        for c in range(3)
    ]
    noise = rng.normal(0, 6, (height, width, 3))
    image = Image.fromarray(np.clip(np.stack(channels, -1) + noise, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(5):
        cx, cy, r = rng.randint(0, width), rng.randint(0, height), rng.randint(8, max(9, min(width, height) // 4))
        color = tuple(int(v) for v in rng.randint(0, 256, 3))
        (draw.ellipse if rng.rand() < 0.5 else draw.rectangle)([cx - r, cy - r, cx + r, cy + r], fill=color)
    return image


def save_all():
    files = []

    def save(name, image, **options):
        image.save(os.path.join(out, name), **options)
        files.append(name)

    save("wide.jpg", photograph(320, 180, 1), quality=85)
    save("tall.jpg", photograph(150, 260, 2), quality=85, subsampling=0)
    exif = Image.Exif()
    exif[0x0112] = 6
    save("rotated.jpg", photograph(200, 140, 3), quality=85, exif=exif)
    save("grey.jpg", photograph(160, 160, 4).convert("L"), quality=85)
    save("cmyk.jpg", photograph(160, 120, 5).convert("CMYK"), quality=85)
    save("progressive.jpg", photograph(161, 119, 12), quality=80, progressive=True)
    rgba = photograph(120, 90, 6).convert("RGBA")
    rgba.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, 120).astype(np.uint8), (90, 1))))
    save("alpha.png", rgba)
    save("palette.png", photograph(120, 90, 7).convert("P", palette=Image.ADAPTIVE))
    wide = (np.asarray(photograph(96, 72, 8).convert("L")).astype(np.uint16) * 257) ^ 5
    save("grey16.png", Image.fromarray(wide))
    save("grey-alpha.png", photograph(100, 70, 9).convert("LA"))
    save("lossless.webp", photograph(110, 80, 10), lossless=True)
    save("lossy.webp", photograph(200, 150, 11), quality=80)
    save("tiny.png", photograph(17, 13, 13))
    return files


def rgb16():
    """16 bits a channel, which Pillow reads and does not write: a PNG by hand."""
    import struct
    import zlib

    pixels = np.asarray(photograph(90, 64, 14)).astype(np.uint16) * 256 + 129
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 90, 64, 16, 2, 0, 0, 0)
    with open(os.path.join(out, "rgb16.png"), "wb") as file:
        file.write(
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
        )
    return ["rgb16.png"]


def model():
    detector = RFDETRNano(pretrain_weights=None, device="cpu")
    with torch.no_grad():
        for key, parameter in detector.model.model.named_parameters():
            filled = value(key, list(parameter.shape))
            parameter.copy_(torch.from_numpy(np.asarray(filled, dtype=np.float32)).view(parameter.shape))
    return detector


files = save_all() + rgb16()
detector = model()
golden = []
for name in files:
    path = os.path.join(out, name)
    pixels = np.asarray(Image.open(path).convert("RGB"))
    found = detector.predict(path, threshold=0.0)
    golden.append(
        {
            "file": name,
            "height": pixels.shape[0],
            "width": pixels.shape[1],
            "sha256": hashlib.sha256(pixels.tobytes()).hexdigest(),
            "every997th": pixels.reshape(-1)[::997].tolist(),
            "detections": [
                [*(round(float(v), 4) for v in box), round(float(score), 7), int(label)]
                for box, score, label in list(zip(found.xyxy, found.confidence, found.class_id))[:30]
            ],
        }
    )
with open(os.path.join(out, "predict.json"), "w") as file:
    json.dump(golden, file)
