"""The Python steps of the pipeline: what stands before, between and after its three models.

Each function sees one picture. Pixels are BGR, as the models were trained on.
"""

from __future__ import annotations

import math
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Annotated, TypedDict

import boxes as locate
import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from inferd.core.errors import InvalidInput

Picture = Annotated[np.ndarray, "uint8", (-1, -1, 3)]
Boxes = Annotated[np.ndarray, "float32", (-1, 4, 2)]
Frame = Annotated[np.ndarray, "float32", (5,)]

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
MOST_PIXELS = 50_000_000
LONGEST, SHORTEST = 2000, 30
"""Sides of a picture, in pixels: longer ones are made smaller, shorter ones larger."""

WIDEST = 8
"""Pictures wider than this, over their height, get black bars above and below."""

DETECT_SHORTEST, DETECT_LONGEST = 736, 4096
"""What the detector is shown: the shorter side is enlarged to this, unless the longer grew past that."""

GRID = 32
"""The detector takes sides that are multiples of this."""

LINE_HEIGHT, ANGLE_WIDTH, LINE_WIDTH = 48, 192, 320
GROUP = 6
"""So many lines, sorted by their form, are filled up to one width: that is how the recogniser was used."""

UPSIDE_DOWN = 0.9
"""From this probability on a line is turned by 180 degrees."""

SURE = 0.5
"""Lines read with less confidence are left out."""

# --------------------------------------------------------------------------- before the detector


class Decoded(TypedDict):
    """``pixels``: the picture to cut from; ``sight``: what the detector sees; ``frame``: see ``Frame``."""

    pixels: Picture
    sight: Picture
    frame: Frame


def decode(image: bytes) -> Decoded:
    """Read the file of a picture, and bring it to the sizes that the models know.

    ``frame`` leads back to the picture as sent: its height and width, the height and width
    it was given before bars were added, and the bar's height.
    """
    sent = _pixels(image)
    pixels = _moderate(sent)
    bar = _bar(*pixels.shape[:2])
    frame = np.array([*sent.shape[:2], *pixels.shape[:2], bar], np.float32)
    if bar:
        pixels = cv2.copyMakeBorder(pixels, bar, bar, 0, 0, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    return {"pixels": pixels, "sight": _sight(pixels), "frame": frame}


def _pixels(data: bytes) -> np.ndarray:
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise InvalidInput(
                    f"the picture has {image.width} x {image.height} pixels, more than {MOST_PIXELS:,}"
                )
            rgb = np.asarray(_opaque(image).convert("RGB"))
    except UnidentifiedImageError:
        raise InvalidInput(
            "the bytes are no picture", help=f"send one of: {', '.join(FORMATS)}"
        ) from None
    except InvalidInput:
        raise
    except Exception as error:  # what damaged files raise is not limited to one kind
        raise InvalidInput(f"the picture cannot be read: {error}") from None
    return np.ascontiguousarray(rgb[:, :, ::-1])


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):  # Pillow would cut such greys off at 255
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:  # meant to lie on a white page
        page = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(page, image.convert("RGBA"))
    return image


def _moderate(pixels: np.ndarray) -> np.ndarray:
    """Return a picture none of whose sides is too long or too short."""
    if max(pixels.shape[:2]) > LONGEST:
        pixels = _resized(pixels, LONGEST / max(pixels.shape[:2]))
    if min(pixels.shape[:2]) < SHORTEST:
        pixels = _enlarged(pixels, SHORTEST, LONGEST)
    return pixels


def _bar(height: int, width: int) -> int:
    if height > SHORTEST and width / height <= WIDEST:
        return 0
    return abs(max(width // WIDEST, SHORTEST) * 2 - height) // 2


def _sight(pixels: np.ndarray) -> np.ndarray:
    return _enlarged(pixels, DETECT_SHORTEST, DETECT_LONGEST)


def _enlarged(pixels: np.ndarray, shortest: int, longest: int) -> np.ndarray:
    """Bring the shorter side to ``shortest``, but the longer not past ``longest``."""
    scale = min(shortest / min(pixels.shape[:2]), longest / max(pixels.shape[:2]))
    return _resized(pixels, max(scale, 1.0))


def _resized(pixels: np.ndarray, scale: float) -> np.ndarray:
    """Return the picture times ``scale``, at the nearest size on the grid."""
    height, width = (max(round(int(n * scale) / GRID), 1) * GRID for n in pixels.shape[:2])
    return cv2.resize(pixels, (width, height))


# --------------------------------------------------------------------------- between detector and angle


class Cropped(TypedDict):
    """``lines``: the parts of the picture that hold text; ``views``: what the angle model sees of each."""

    boxes: Boxes
    lines: list[Picture]
    views: Annotated[np.ndarray, "float32", (-1, 3, LINE_HEIGHT, ANGLE_WIDTH)]


def crop(pixels: Picture, heat: Annotated[np.ndarray, "float32", (1, -1, -1)]) -> Cropped:
    """Find the lines in the detector's map and cut them out."""
    found = locate.find(heat[0], *pixels.shape[:2])
    lines = [locate.cut(pixels, box) for box in found]
    views = np.zeros((len(lines), 3, LINE_HEIGHT, ANGLE_WIDTH), np.float32)
    for view, line in zip(views, lines, strict=True):
        _fill(view, line)
    return {"boxes": found, "lines": lines, "views": views}


def _fill(view: np.ndarray, line: np.ndarray) -> None:
    """Put a line at the left of a view of zeros, at the view's height, from -1 (black) to 1."""
    _, height, most = view.shape
    width = min(math.ceil(height * line.shape[1] / line.shape[0]), most)
    view[:, :, :width] = cv2.resize(line, (width, height)).transpose(2, 0, 1) / np.float32(127.5)
    view[:, :, :width] -= 1


# --------------------------------------------------------------------------- between angle and recogniser


def turn(
    lines: list[Picture],
    index: Annotated[np.ndarray, "int64", (-1, 1)],
    score: Annotated[np.ndarray, "float32", (-1, 1)],
) -> list[Annotated[np.ndarray, "float32", (3, LINE_HEIGHT, -1)]]:
    """Turn lines that stand on their heads, and make of each what the recogniser takes."""
    flipped = (index[:, 0] == 1) & (score[:, 0] > UPSIDE_DOWN)
    upright = [line[::-1, ::-1] if f else line for line, f in zip(lines, flipped, strict=True)]
    views = []
    for line, width in zip(upright, _widths(lines), strict=True):
        view = np.zeros((3, LINE_HEIGHT, width), np.float32)
        _fill(view, np.ascontiguousarray(line))
        views.append(view)
    return views


def _widths(lines: list[np.ndarray]) -> list[int]:
    """Return how wide the recogniser's view of each line is: that of the widest in its group."""
    forms = [line.shape[1] / line.shape[0] for line in lines]
    order = np.argsort(np.array(forms))
    widths = [0] * len(lines)
    for start in range(0, len(lines), GROUP):
        group = order[start : start + GROUP]
        widest = max(LINE_WIDTH / LINE_HEIGHT, *(forms[i] for i in group))
        for i in group:
            widths[i] = int(LINE_HEIGHT * widest)
    return widths


# --------------------------------------------------------------------------- after the recogniser


class Read(TypedDict):
    """What is answered: ``text`` is all lines, ``texts`` each; ``scores`` and ``boxes`` go with them."""

    text: str
    texts: list[str]
    scores: Annotated[np.ndarray, "float32", (-1,)]
    boxes: Boxes


def read(
    index: list[Annotated[np.ndarray, "int64", (-1, 1)]],
    score: list[Annotated[np.ndarray, "float32", (-1, 1)]],
    boxes: Boxes,
    frame: Frame,
) -> Read:
    """Spell out the lines, leave out those that are not sure, and put boxes where they were sent."""
    spelt = [_spell(i[:, 0], s[:, 0]) for i, s in zip(index, score, strict=True)]
    kept = [n for n, (_, sure) in enumerate(spelt) if sure >= SURE]
    texts = [spelt[n][0] for n in kept]
    return {
        "text": "\n".join(texts),
        "texts": texts,
        "scores": np.array([spelt[n][1] for n in kept], np.float32),
        "boxes": _as_sent(boxes[kept], frame),
    }


def _spell(classes: np.ndarray, scores: np.ndarray) -> tuple[str, float]:
    """Decode one line (CTC): a character counts where it begins; class 0 is the gap between."""
    begins = np.ones(len(classes), bool)
    begins[1:] = classes[1:] != classes[:-1]
    kept = begins & (classes != 0)
    if not kept.any():
        return "", 0.0
    known = characters()
    return "".join(known[c] for c in classes[kept]), float(scores[kept].mean())


def _as_sent(boxes: np.ndarray, frame: np.ndarray) -> np.ndarray:
    height, width, inner_height, inner_width, bar = (float(n) for n in frame)
    moved = (boxes - np.array([0, bar], np.float32)) * np.array(
        [width / inner_width, height / inner_height], np.float32
    )
    return np.clip(moved, 0, np.array([width, height], np.float32))


@cache
def characters() -> tuple[str, ...]:
    """Return the character of each class; the build takes them out of the recogniser's file."""
    text = Path(__file__).with_name("characters.txt").read_text(encoding="utf-8")
    return ("", *text.splitlines(), " ")
