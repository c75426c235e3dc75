"""Golden numbers for the 8-bit bilinear resize.

    python3 -m venv venv && venv/bin/pip install pillow
    venv/bin/python tools/reference/pillow_goldens.py > packages/rfdetr/src/data/images/fixtures/pillow-resize.json

Each case holds the sizes of a reproducible image before and after, and the bytes that Pillow gives (base64). The two
passes are asked for one by one, horizontal first: Pillow up to 12 always goes in that order, 13 chooses, and then
single bytes differ by one."""

import base64
import json

import PIL
from PIL import Image


def pixels(width: int, height: int) -> bytes:
    state, out = 12345, bytearray()
    for _ in range(width * height * 3):
        state = (1103515245 * state + 12345) % 2**31
        out.append(state >> 23)
    return bytes(out)


cases = []
for size, to in [
    ((37, 23), (16, 16)),
    ((37, 23), (64, 48)),
    ((8, 8), (8, 20)),
    ((50, 9), (13, 9)),
    ((3, 5), (31, 2)),
    ((64, 48), (21, 21)),
    ((1, 1), (4, 4)),
    ((130, 70), (17, 60)),
]:
    image = (
        Image.frombytes("RGB", size, pixels(*size)).resize((to[0], size[1]), Image.BILINEAR).resize(to, Image.BILINEAR)
    )
    cases.append(
        {
            "width": size[0],
            "height": size[1],
            "toWidth": to[0],
            "toHeight": to[1],
            "bytes": base64.b64encode(image.tobytes()).decode(),
        }
    )
print(json.dumps({"pillow": PIL.__version__, "cases": cases}))
