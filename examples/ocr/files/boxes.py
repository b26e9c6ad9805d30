"""Where text stands: from the detector's map of probabilities to boxes, in reading order.

The detector (a DB network, "differentiable binarization") says of each pixel how likely it belongs to the
inner part of a line of text. Regions above a threshold are outlined, each outline is put into the smallest
rectangle around it, and the rectangle is grown by as much as the network was taught to shrink lines.
"""

from __future__ import annotations

import cv2
import numpy as np
import pyclipper

PIXEL = 0.3
"""From this probability on a pixel is one of text."""

BOX = 0.5
"""Boxes whose pixels are less probable than this on average are dropped."""

GROW = 1.6
"""A box grows on each side by its area times this over its circumference."""

MOST = 1000
"""Outlines that are looked at."""

NARROW = 3
"""Rectangles with a side shorter than this, in pixels, are no text."""

ONE_LINE = 10
"""Boxes whose tops differ by less, in pixels, stand in one line and are read from left to right."""


def find(heat: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the boxes in a map of probabilities, for a picture of ``height`` and ``width``.

    The corners of a box are those of the text: top left, top right, bottom right, bottom left. The
    boxes come in reading order, as FP32 ``[boxes, 4, 2]`` of x and y in whole pixels.
    """
    seen, size = (np.array(n, np.float32) for n in (heat.shape[::-1], (width, height)))
    mask = cv2.dilate((heat > PIXEL).astype(np.uint8), np.ones((2, 2), np.uint8))
    outlines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for outline in outlines[:MOST]:
        box = _grown(outline, heat)
        if box is None:
            continue
        corners = clockwise(np.clip(np.round(box / seen * size), 0, size))
        corners = np.clip(corners, 0, size - 1)
        if min(_length(corners, 0, 1), _length(corners, 0, 3)) >= NARROW + 1:
            found.append(corners)
    return np.array(in_order(found), np.float32).reshape(-1, 4, 2)


def _grown(outline: np.ndarray, heat: np.ndarray) -> np.ndarray | None:
    """Return the box around an outline at the size of its text, or nothing where it is none."""
    corners, narrow = _rectangle(outline)
    if narrow < NARROW or _probability(heat, corners) < BOX:
        return None
    growth = cv2.contourArea(corners) * GROW / cv2.arcLength(corners, closed=True)
    offset = pyclipper.PyclipperOffset()
    offset.AddPath(corners.tolist(), pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    paths = offset.Execute(growth)
    if not paths:
        return None
    corners, narrow = _rectangle(np.concatenate(paths).astype(np.int32))
    return corners if narrow >= NARROW + 2 else None


def _rectangle(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the corners of the smallest rectangle around ``points``, and its shorter side."""
    rectangle = cv2.minAreaRect(points)
    return clockwise(cv2.boxPoints(rectangle)), min(rectangle[1])


def _probability(heat: np.ndarray, corners: np.ndarray) -> float:
    """Return the mean probability of the pixels in a box."""
    last = [heat.shape[1] - 1, heat.shape[0] - 1]
    left, top = np.clip(np.floor(corners.min(0)), 0, last).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(0)), 0, last).astype(int)
    part = heat[top : bottom + 1, left : right + 1]
    mask = np.zeros(part.shape, np.uint8)
    cv2.fillPoly(mask, [(corners - [left, top]).astype(np.int32)], 1)
    return float(cv2.mean(part, mask)[0])


def clockwise(corners: np.ndarray) -> np.ndarray:
    """Return four corners from the top left one on."""
    by_x = corners[np.argsort(corners[:, 0], kind="stable")]
    left, right = by_x[:2], by_x[2:]
    left = left[np.argsort(left[:, 1], kind="stable")]
    right = right[np.argsort(right[:, 1], kind="stable")]
    return np.stack([left[0], right[0], right[1], left[1]])


def in_order(found: list[np.ndarray]) -> list[np.ndarray]:
    """Return boxes from top to bottom; neighbours that stand in one line from left to right."""
    ordered: list[np.ndarray] = []
    for box in sorted(found, key=lambda b: (b[0, 1], b[0, 0])):
        place = len(ordered)
        while place and _right_of(ordered[place - 1], box):
            place -= 1
        ordered.insert(place, box)
    return ordered


def _right_of(other: np.ndarray, box: np.ndarray) -> bool:
    return abs(box[0, 1] - other[0, 1]) < ONE_LINE and box[0, 0] < other[0, 0]


def cut(picture: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return the part of a picture in a box, straightened; what stands upright is laid down."""
    width = int(max(_length(box, 0, 1), _length(box, 2, 3)))
    height = int(max(_length(box, 0, 3), _length(box, 1, 2)))
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    line = cv2.warpPerspective(
        picture, cv2.getPerspectiveTransform(box, corners), (width, height),
        flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return np.ascontiguousarray(np.rot90(line)) if height / width >= 1.5 else line


def _length(box: np.ndarray, start: int, end: int) -> float:
    return float(np.linalg.norm(box[start] - box[end]))
