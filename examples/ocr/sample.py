"""The pictures to try the pipeline on: drawn signs in front of a real photograph.

The background is ``china.jpg``, which scikit-learn ships; the characters are those of Noto Sans SC. The
sign is drawn flat, then seen at an angle, so that the lines in the picture are no straight rows of pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

INK, PAPER = (34, 34, 40), (244, 241, 232)
MARGIN = 36


@dataclass(frozen=True, slots=True)
class Sign:
    """Lines of text with the size of each, and where its corners come to stand in the picture."""

    lines: tuple[tuple[str, int], ...]
    corners: tuple[tuple[int, int], ...]
    """Top left, top right, bottom right, bottom left."""


SIGNS = {
    "sample": Sign(
        (
            ("欢迎来到颐和园", 64),
            ("Welcome to the Summer Palace", 40),
            ("开放时间 06:30 - 18:00", 40),
            ("Tickets 票价 ¥30", 40),
            ("请勿攀爬 No climbing", 40),
        ),
        ((70, 120), (900, 88), (888, 520), (92, 560)),
    ),
    "english": Sign(
        (
            ("Dynamic batching", 58),
            ("Requests of many clients share one run.", 36),
            ("Latency 2.5 ms, throughput 1,840/s", 36),
        ),
        ((110, 150), (850, 180), (842, 470), (120, 500)),
    ),
    "chinese": Sign(
        (
            ("图书馆开放时间", 60),
            ("周一至周五 上午九点至晚上八点", 38),
            ("请保持安静 爱护图书", 38),
        ),
        ((90, 170), (870, 130), (880, 480), (80, 460)),
    ),
}


def photograph() -> Path:
    """Return the file of the background; scikit-learn's code is not run."""
    spec = find_spec("sklearn")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "datasets" / "images" / "china.jpg"


def draw(sign: Sign, font: Path, background: Path) -> bytes:
    """Return the sign in front of the photograph, as PNG."""
    flat = _flat(sign, font)
    with Image.open(background) as opened:
        scene = opened.convert("RGB").resize((960, 640), Image.Resampling.BICUBIC)
    # perspective coefficients lead from a place in the picture to its place on the sign
    width, height = flat.size
    away = _perspective(sign.corners, ((0, 0), (width, 0), (width, height), (0, height)))
    seen = flat.transform(scene.size, Image.Transform.PERSPECTIVE, away, Image.Resampling.BICUBIC)
    shape = Image.new("L", flat.size, 255).transform(
        scene.size, Image.Transform.PERSPECTIVE, away, Image.Resampling.BICUBIC
    )
    scene.paste(seen, mask=shape)
    out = BytesIO()
    scene.filter(ImageFilter.GaussianBlur(0.6)).save(out, "PNG", optimize=True)
    return out.getvalue()


def _flat(sign: Sign, font: Path) -> Image.Image:
    fonts = [ImageFont.truetype(str(font), size) for _, size in sign.lines]
    width = max(int(f.getlength(text)) for f, (text, _) in zip(fonts, sign.lines, strict=True))
    height = sum(int(size * 1.6) for _, size in sign.lines)
    flat = Image.new("RGB", (width + 2 * MARGIN, height + 2 * MARGIN), PAPER)
    pen = ImageDraw.Draw(flat)
    top = MARGIN
    for face, (text, size) in zip(fonts, sign.lines, strict=True):
        pen.text((MARGIN, top), text, INK, face)
        top += int(size * 1.6)
    return flat


def _perspective(
    here: tuple[tuple[int, int], ...], there: tuple[tuple[int, int], ...]
) -> tuple[float, ...]:
    """Return the eight coefficients that lead four points ``here`` to four ``there``."""
    rows, values = [], []
    for (x, y), (u, v) in zip(here, there, strict=True):
        rows += [(x, y, 1, 0, 0, 0, -u * x, -u * y), (0, 0, 0, x, y, 1, -v * x, -v * y)]
        values += [u, v]
    return tuple(np.linalg.solve(np.array(rows, float), np.array(values, float)))
