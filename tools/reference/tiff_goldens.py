"""TIFF files of many kinds, whole, cut off and damaged, and the pixels that Pillow reads of them.

    python3 -m venv venv && venv/bin/pip install pillow numpy
    venv/bin/python tools/reference/tiff_goldens.py > packages/rfdetr/src/data/images/fixtures/tiff.json

Each case holds a file (base64) and which picture Pillow's convert("RGB") gives, or null where Pillow refuses the file.
A picture is its bytes (base64)."""

import base64
import io
import json
import struct
import zlib

import numpy as np
import PIL
from PIL import Image, TiffImagePlugin

width, height = 16, 12
rows, columns = np.mgrid[:height, :width]
# Smooth, so that JPEG keeps it, and not so smooth that a cut file has its end by chance.
rgb = np.stack([rows * 12, columns * 10, (rows * 7 + columns * 3 + (rows * columns) % 11) % 256], -1).astype(np.uint8)
image = Image.fromarray(rgb)


def saved(mode: str, **options) -> bytes:
    file = io.BytesIO()
    image.convert(mode).save(file, "TIFF", **options)
    return file.getvalue()


def raw(data: bytes, tags: dict[int, int | tuple], *, order: str = "<", unsorted: dict[int, int] = {}) -> bytes:
    """One strip without compression. Numbers are SHORT, offsets LONG."""
    values = {256: width, 257: height, 259: 1, 273: 0, 278: height, 279: len(data), **tags}
    entries = [*unsorted.items(), *sorted(values.items())]
    start = 8 + 2 + 12 * len(entries) + 4
    lists = b""
    packed = []
    for tag, value in entries:
        numbers = value if isinstance(value, tuple) else (value,)
        kind = "I" if tag in (273, 279) else "H"
        body = struct.pack(order + kind * len(numbers), *numbers)
        if len(body) > 4:
            packed.append((tag, kind, len(numbers), struct.pack(order + "I", start + len(lists))))
            lists += body + b"\0" * (len(body) % 2)
        else:
            packed.append((tag, kind, len(numbers), body.ljust(4, b"\0")))
    out = (b"II" if order == "<" else b"MM") + struct.pack(order + "HIH", 42, 8, len(packed))
    for tag, kind, count, body in packed:
        if tag == 273:
            body = struct.pack(order + "I", start + len(lists))
        out += struct.pack(order + "HHI", tag, 4 if kind == "I" else 3, count) + body
    return out + b"\0" * 4 + lists + data


def private() -> TiffImagePlugin.ImageFileDirectory_v2:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, kind, value in [
        (33550, 12, (1.0, 1.0, 0.0)),
        (34735, 3, (1, 1, 0, 1, 1024, 0, 1, 1)),
        (42112, 2, "<GDALMetadata/>"),
        (65000, 2, "private"),
        (65001, 7, b"abc"),
    ]:
        tags.tagtype[tag] = kind
        tags[tag] = value
    return tags


def exif() -> Image.Exif:
    data = Image.Exif()
    data.get_ifd(0x8769)[0x829A] = (1, 100)
    return data


three = {258: (8, 8, 8), 262: 2, 277: 3}
cmyk = np.array(image.convert("CMYK"))
grey = np.array(image.convert("L"))
extra = np.dstack([cmyk, grey])
files = {
    **{f"{mode} raw": saved(mode) for mode in ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "F", "I", "YCbCr", "LAB"]},
    **{
        f"{mode} {name}": saved(mode, compression=name)
        for name in ["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd", "lzma"]
        for mode in ["RGB", "L"]
    },
    "CMYK jpeg": saved("CMYK", compression="jpeg"),
    "YCbCr jpeg": saved("YCbCr", compression="jpeg"),
    "YCbCr tiff_lzw": saved("YCbCr", compression="tiff_lzw"),
    "1 group4": saved("1", compression="group4"),
    "several pictures": saved("RGB", save_all=True, append_images=[Image.new("L", (5, 5))], compression="tiff_lzw"),
    "a BigTIFF": saved("RGB", big_tiff=True, compression="tiff_lzw"),
    "tags of maps, and private ones": saved("RGB", tiffinfo=private()),
    "tags of maps with LZW": saved("RGB", tiffinfo=private(), compression="tiff_lzw"),
    "EXIF in a directory of its own": saved("RGB", exif=exif()),
    "big-endian": raw(rgb.tobytes(), three, order=">"),
    "orientation 0": raw(rgb.tobytes(), {**three, 274: 0}),
    "orientation 9": raw(rgb.tobytes(), {**three, 274: 9}),
    "tags out of order": raw(rgb.tobytes(), three, unsorted={65500: 7, 65400: 7}),
    "16-bit RGB": raw((rgb.astype("<u2") * 257).tobytes(), {**three, 258: (16, 16, 16)}),
    "16-bit CMYK": raw((cmyk.astype("<u2") * 257).tobytes(), {258: (16,) * 4, 262: 5, 277: 4}),
    "16-bit CMYK, big-endian": raw((cmyk.astype(">u2") * 257).tobytes(), {258: (16,) * 4, 262: 5, 277: 4}, order=">"),
    "CMYK and another ink": raw(extra.tobytes(), {258: (8,) * 5, 262: 5, 277: 5, 338: 0}),
    "deflate behind its directory": raw(zlib.compress(rgb.tobytes()), {**three, 259: 8}),
    "white is 0": raw(grey.tobytes(), {258: 8, 262: 0, 277: 1}),
    "4-bit grey": raw(((grey[:, ::2] & 240) | (grey[:, 1::2] >> 4)).tobytes(), {258: 4, 262: 1, 277: 1}),
    "YCbCr with fewer colours than pixels": raw(
        bytes(grey.size * 3 // 2), {258: (8, 8, 8), 262: 6, 277: 3, 530: (2, 2)}
    ),
    "three samples of grey": raw(rgb.tobytes(), {258: (8, 8, 8), 262: 1, 277: 3}),
    "signed 16-bit grey": raw(grey.astype("<i2").tobytes(), {258: 16, 262: 1, 277: 1, 339: 2}),
    "signed 8-bit grey": raw(grey.tobytes(), {258: 8, 262: 1, 277: 1, 339: 2}),
    "float RGB": raw((rgb / 255).astype("<f4").tobytes(), {258: (32,) * 3, 262: 2, 277: 3, 339: (3, 3, 3)}),
    "16-bit float grey": raw((grey / 255).astype("<f2").tobytes(), {258: 16, 262: 1, 277: 1, 339: 3}),
    "16-bit palette": raw(grey.astype("<u2").tobytes(), {258: 16, 262: 3, 277: 1, 320: tuple(range(0, 768))}),
    "ICC L*a*b*": raw(rgb.tobytes(), {258: (8, 8, 8), 262: 9, 277: 3}),
    "JPEG 2000": raw(rgb.tobytes(), {**three, 259: 34712}),
    "a compression that nobody knows": raw(rgb.tobytes(), {**three, 259: 12345}),
}
for name in ["RGB raw", "RGB tiff_lzw", "RGB tiff_adobe_deflate", "RGB packbits", "RGB jpeg", "L jpeg", "a BigTIFF"] + [
    "deflate behind its directory"
]:
    whole = files[name]
    for percent in (60, 99):
        files[f"{percent} % of {name}"] = whole[: len(whole) * percent // 100]
for name in ["RGB tiff_lzw", "RGB tiff_adobe_deflate"]:
    damaged = bytearray(files[name])
    middle = len(damaged) * 2 // 3
    damaged[middle : middle + 40] = bytes(range(40, 80))
    files[f"damaged {name}"] = bytes(damaged)


pictures: list[str] = []


def read(file: bytes) -> int | None:
    try:
        pixels = np.array(Image.open(io.BytesIO(file)).convert("RGB"))
    except Exception:
        return None
    encoded = base64.b64encode(pixels.tobytes()).decode()
    if encoded not in pictures:
        pictures.append(encoded)
    return pictures.index(encoded)


cases = [{"name": name, "file": base64.b64encode(file).decode(), "rgb": read(file)} for name, file in files.items()]
print(json.dumps({"pillow": PIL.__version__, "pictures": pictures, "cases": cases}))
