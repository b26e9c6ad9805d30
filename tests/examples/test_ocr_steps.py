"""The Python steps of the OCR pipeline, each by itself."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from examples.ocr.build import FILES
from PIL import Image

from inferd.core.errors import InvalidInput

KNOWN = ("", "a", "b", " ")


@pytest.fixture(scope="module")
def steps():
    """Return the module of the steps, as a worker imports it, with few characters."""
    sys.path.insert(0, str(FILES))
    try:
        import steps as found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(found, "characters", lambda: KNOWN)
            yield found
    finally:
        sys.path.remove(str(FILES))
        for name in ("steps", "boxes"):
            sys.modules.pop(name, None)


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize(
    ("size", "pixels", "sight"),
    [
        ((960, 640), (640, 960), (736, 1088)),
        ((3000, 2000), (1344, 1984), (1344, 1984)),
        ((20, 10), (32, 64), (736, 1472)),
        ((900, 60), (224, 900), (736, 2944)),
        ((40_000, 1), (496, 1984), (736, 2944)),
        ((1, 40_000), (1984, 32), (4096, 64)),
    ],
    ids=str,
)
def test_sizes_are_those_that_the_models_know(steps, size, pixels, sight) -> None:
    decoded = steps.decode(encoded(Image.new("RGB", size)))

    assert decoded["pixels"].shape == (*pixels, 3)
    assert decoded["sight"].shape == (*sight, 3)
    assert tuple(decoded["frame"][:2]) == size[::-1]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_kind_of_pixels_is_read(steps, mode: str) -> None:
    image = Image.new("RGB", (64, 64), (255, 255, 255)).convert(mode)

    assert (steps.decode(encoded(image))["pixels"] == 255).all()


def test_colours_are_in_the_order_of_the_models_and_nothing_is_white(steps) -> None:
    red = encoded(Image.new("RGB", (64, 64), (200, 20, 10)))
    clear = encoded(Image.new("RGBA", (64, 64), (0, 0, 0, 0)))
    deep = encoded(Image.fromarray(np.full((64, 64), 0x8000, np.uint16)))

    assert steps.decode(red)["pixels"][0, 0].tolist() == [10, 20, 200]
    assert (steps.decode(clear)["pixels"] == 255).all()
    assert (steps.decode(deep)["pixels"] == 128).all()


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(steps) -> None:
    header = encoded(Image.new("1", (10_000, 6_000)))[:100]

    with pytest.raises(InvalidInput, match="10000 x 6000 pixels, more than 50,000,000"):
        steps.decode(header)


def test_boxes_are_read_line_by_line(steps) -> None:
    def box(x, y):
        return np.array([[x, y], [x + 50, y], [x + 50, y + 20], [x, y + 20]], np.float32)

    written = [box(10, 10), box(300, 4), box(500, 12), box(20, 40), box(10, 80)]
    mixed = [written[i] for i in (4, 2, 0, 3, 1)]

    ordered = steps.locate.in_order(mixed)

    assert [b[0].tolist() for b in ordered] == [b[0].tolist() for b in written]


@pytest.mark.parametrize("turned", range(4))
def test_corners_go_clockwise_from_the_top_left(steps, turned: int) -> None:
    corners = np.array([[10, 12], [110, 2], [114, 42], [14, 52]], np.float32)

    assert np.array_equal(steps.locate.clockwise(np.roll(corners, turned, 0)), corners)


def test_a_map_with_one_blob_gives_its_box_grown(steps) -> None:
    heat = np.zeros((96, 192), np.float32)
    heat[40:50, 30:130] = 0.9
    heat[80:81, 10:12] = 0.9  # too small to be text
    heat[5:15, 150:180] = 0.4  # text, but not sure

    (found,) = steps.locate.find(heat, 192, 384)

    # 10 x 100 (with the mask's own pixel) grows by 1.6 * area / circumference on each side
    grown = 1.6 * 10 * 100 / (2 * (10 + 100))
    expected = 2 * np.array([30 - grown, 40 - grown, 130 + grown, 50 + grown])
    assert np.abs(np.concatenate([found[0], found[2]]) - expected).max() <= 4


def test_a_line_is_spelt_without_gaps_and_repetitions(steps) -> None:
    gap, a, b, space = range(len(KNOWN))
    classes = np.array([gap, a, a, gap, a, b, b, gap, space])

    text, score = steps._spell(classes, np.linspace(0.1, 0.9, 9, dtype=np.float32))

    assert text == "aab "
    assert score == pytest.approx(np.mean([0.2, 0.5, 0.6, 0.9]), abs=1e-6)
    assert steps._spell(np.zeros(5, int), np.ones(5, np.float32)) == ("", 0.0)


def test_lines_that_are_not_sure_are_left_out(steps) -> None:
    boxes = np.arange(16, dtype=np.float32).reshape(2, 4, 2)

    read = steps.read(
        [np.array([[1]]), np.array([[1], [0]])],
        [np.array([[0.4]], np.float32), np.array([[0.8], [0.9]], np.float32)],
        boxes,
        np.array([100, 200, 50, 50, 2], np.float32),
    )

    assert read["texts"] == ["a"]
    assert read["scores"].tolist() == [pytest.approx(0.8)]
    assert read["boxes"][0, 0].tolist() == [8 * 4, (9 - 2) * 2]
