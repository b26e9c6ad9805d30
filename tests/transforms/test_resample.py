"""Resampling agrees with Pillow, sums to one, and stays within memory."""

from __future__ import annotations

import numpy as np
import pytest

from inferd.transforms import resample
from inferd.transforms.resample import FILTERS, Resizer, weights

# for "nearest" no centre may fall on an edge here: there Pillow's running sum decides
SIZES = [(20, 30, 8, 8), (8, 8, 24, 24), (7, 5, 5, 7), (1, 9, 3, 3)]


@pytest.mark.parametrize("method", sorted(FILTERS))
@pytest.mark.parametrize(("h", "w", "to_h", "to_w"), SIZES, ids=str)
def test_floats_agree_with_pillow(method: str, h: int, w: int, to_h: int, to_w: int) -> None:
    from PIL import Image

    x = np.random.default_rng(0).random((h, w, 1)).astype(np.float32)
    mode = Image.Resampling[FILTERS[method][2]]
    wanted = np.asarray(Image.fromarray(x[:, :, 0]).resize((to_w, to_h), mode))

    np.testing.assert_allclose(Resizer(method)(x, to_h, to_w)[:, :, 0], wanted, atol=1e-5)


@pytest.mark.parametrize("method", sorted(set(FILTERS) - {"nearest"}))
def test_rows_of_weights_sum_to_one(method: str) -> None:
    for size, target in ((30, 7), (7, 30), (1, 5), (5, 1)):
        np.testing.assert_allclose(weights(size, target, method).sum(axis=1), 1)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_bytes_with_and_without_pillow_differ_by_rounding_only(channels: int) -> None:
    from PIL import Image

    x = np.random.default_rng(1).integers(0, 256, (40, 30, channels), np.uint8)

    with_pillow = Resizer("bilinear", Image)(x, 16, 16)
    without = Resizer("bilinear")(x, 16, 16)

    assert with_pillow.dtype == without.dtype == np.uint8
    assert with_pillow.shape == without.shape == (16, 16, channels)
    assert np.abs(with_pillow.astype(int) - without).max() <= 1


def test_extreme_sizes_give_the_same_without_the_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(2).random((50, 20, 2))
    wanted = Resizer("bicubic")(x, 9, 40)
    monkeypatch.setattr(resample, "_DENSE", 1)

    np.testing.assert_allclose(Resizer("bicubic")(x, 9, 40), wanted)


def test_matrices_kept_are_bounded() -> None:
    resizer = Resizer("box")
    for n in range(2, 200):
        resizer(np.zeros((n, 3, 1), np.float32), 3, 3)

    assert len(resizer._matrices) <= 64
