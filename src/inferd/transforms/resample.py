"""Resampling of images: Pillow for UINT8, matrix products in numpy for everything else.

Both compute the same thing: every output pixel is a weighted mean of the input pixels within a
filter's support, and the support grows with the reduction, so that reducing does not alias. Along
one axis that is a matrix, and an image is two products.

Source of the filters: Keys 1981 (cubic convolution, a = -0.5) and Lanczos windows of 3 lobes.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np

_CACHED = 64
_DENSE = 1 << 18


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(1 - np.abs(x), 0))


def _box(x: np.ndarray) -> np.ndarray:
    return ((x > -0.5) & (x <= 0.5)).astype(np.float64)


def _cubic(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    a = -0.5
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _lanczos(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


FILTERS: dict[str, tuple[Any, float, str]] = {
    "bilinear": (_triangle, 1.0, "BILINEAR"),
    "bicubic": (_cubic, 2.0, "BICUBIC"),
    "lanczos": (_lanczos, 3.0, "LANCZOS"),
    "box": (_box, 0.5, "BOX"),
    "nearest": (None, 0.0, "NEAREST"),
}
"""Method -> (weight function, half-width of its support, Pillow's name)."""


def _windows(
    size: int, target: int, method: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return where each output pixel's support begins and ends, its centre, and the stretch."""
    scale = size / target
    stretch = max(scale, 1.0)
    reach = FILTERS[method][1] * stretch
    centers = (np.arange(target) + 0.5) * scale
    # the window ends on whole pixels, as Pillow's does
    low = np.maximum((centers - reach + 0.5).astype(np.int64), 0)
    high = np.minimum((centers + reach + 0.5).astype(np.int64), size)
    return low, high, centers, stretch


def weights(size: int, target: int, method: str) -> np.ndarray:
    """Return the [target, size] matrix that resamples one axis; its rows sum to 1."""
    low, high, centers, stretch = _windows(size, target, method)
    pixels = np.arange(size)
    distance = (pixels[None, :] + 0.5 - centers[:, None]) / stretch
    inside = (pixels >= low[:, None]) & (pixels < high[:, None])
    out = np.where(inside, FILTERS[method][0](distance), 0)
    return np.asarray(out / out.sum(axis=1, keepdims=True))


def _along(x: np.ndarray, target: int, method: str) -> np.ndarray:
    """Resample axis 0 without the matrix, which extreme sizes would make larger than memory."""
    low, high, centers, stretch = _windows(x.shape[0], target, method)
    out = np.empty((target, *x.shape[1:]), x.dtype)
    for i in range(target):
        pixels = np.arange(low[i], high[i])
        part = FILTERS[method][0]((pixels + 0.5 - centers[i]) / stretch)
        out[i] = np.tensordot((part / part.sum()).astype(x.dtype), x[low[i] : high[i]], 1)
    return out


class Resizer:
    """Resizes images [height, width, channels]; keeps the matrices of sizes seen lately.

    ``pillow``: the ``PIL.Image`` module for UINT8 images, or ``None``.
    """

    def __init__(self, method: str, pillow: Any = None) -> None:
        self.method = method
        self.pillow = pillow
        self._matrices: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()

    def __call__(self, image: np.ndarray, height: int, width: int) -> np.ndarray:
        """Return ``image`` as [height, width, channels] of the same type."""
        if image.shape[:2] == (height, width):
            return image
        if self.pillow is not None and image.dtype == np.uint8 and image.shape[2] in (1, 3, 4):
            return self._by_pillow(image, height, width)
        if self.method == "nearest":
            rows = _nearest(image.shape[0], height)
            return np.asarray(image[rows][:, _nearest(image.shape[1], width)])
        work = np.float64 if image.dtype.itemsize > 4 else np.float32
        out = self._axis0(image.astype(work, copy=False), height)
        out = np.swapaxes(self._axis0(np.swapaxes(out, 0, 1), width), 0, 1)
        if image.dtype.kind in "iu":
            limits = np.iinfo(image.dtype)
            out = np.rint(out).clip(limits.min, limits.max)
        return out.astype(image.dtype, copy=False)

    def _by_pillow(self, image: np.ndarray, height: int, width: int) -> np.ndarray:
        mode = self.pillow.Resampling[FILTERS[self.method][2]]
        if image.shape[2] == 4:
            # Pillow would premultiply by the fourth channel, which need not be alpha
            parts = [self._by_pillow(image[:, :, i : i + 1], height, width) for i in range(4)]
            return np.concatenate(parts, axis=2)
        pixels = np.ascontiguousarray(image[:, :, 0] if image.shape[2] == 1 else image)
        out = np.asarray(self.pillow.fromarray(pixels).resize((width, height), mode))
        return out if out.ndim == 3 else out[:, :, None]

    def _axis0(self, x: np.ndarray, target: int) -> np.ndarray:
        size = x.shape[0]
        if size == target:
            return x
        if size * target > _DENSE:
            return _along(x, target, self.method)
        key = (size, target)
        found = self._matrices.get(key)
        if found is None:
            found = self._matrices[key] = weights(size, target, self.method)
            while len(self._matrices) > _CACHED:
                self._matrices.popitem(last=False)
        flat = np.ascontiguousarray(x).reshape(size, -1)
        return np.asarray(found.astype(x.dtype) @ flat).reshape(target, *x.shape[1:])


def _nearest(size: int, target: int) -> np.ndarray:
    # whole numbers, so that a centre on an edge always falls to the right
    return (2 * np.arange(target) + 1) * size // (2 * target)
