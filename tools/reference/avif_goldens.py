"""AVIF pictures that are stored turned or mirrored, and how Pillow reads them.

    python3 -m venv venv && venv/bin/pip install pillow
    venv/bin/python tools/reference/avif_goldens.py > packages/rfdetr/src/data/images/fixtures/avif-turned.json

Each case holds a file (base64) with the boxes irot and imir of an EXIF orientation, the orientation that Pillow reads
of it, and the colours of the quarters, row by row, of the stored pixels and of those that ImageOps.exif_transpose gives
(R, G, B or W)."""

import base64
import io
import json

import PIL
from PIL import Image, ImageOps

colours = {"R": (255, 0, 0), "G": (0, 255, 0), "B": (0, 0, 255), "W": (255, 255, 255)}


def picture() -> Image.Image:
    image = Image.new("RGB", (80, 48))
    for i, colour in enumerate(colours.values()):
        image.paste(colour, (i % 2 * 40, i // 2 * 24, i % 2 * 40 + 40, i // 2 * 24 + 24))
    return image


def quarters(image: Image.Image) -> str:
    found = ""
    for y in (1, 3):
        for x in (1, 3):
            pixel = image.convert("RGB").getpixel((image.width * x // 4, image.height * y // 4))
            found += min(colours, key=lambda name: sum(abs(a - b) for a, b in zip(colours[name], pixel)))
    return found


cases = []
for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x112] = orientation
    file = io.BytesIO()
    picture().save(file, "AVIF", exif=exif, quality=90)
    stored = Image.open(file)
    upright = ImageOps.exif_transpose(stored)
    cases.append(
        {
            "file": base64.b64encode(file.getvalue()).decode(),
            "orientation": stored.getexif().get(0x112, 1),
            "stored": [*stored.size, quarters(stored)],
            "upright": [*upright.size, quarters(upright)],
        }
    )
print(json.dumps({"pillow": PIL.__version__, "cases": cases}))
