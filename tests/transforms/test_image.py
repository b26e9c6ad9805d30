"""decode_image, resize and center_crop."""

from __future__ import annotations

import base64
import builtins
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.transforms.chains import chain, png, signature, spec

from inferd.core.errors import ConfigError, InvalidInput, MissingExtra
from inferd.core.tensor import BYTES, FP32

OUT = spec("y", "float32", -1, 10)
ANY = signature(spec("x", "uint8", -1, -1, -1, 3), OUT)
DIGITS = signature(spec("x", "float32", -1, 64), OUT)
RESNET = signature(spec("x", "float32", -1, 3, 32, 32), OUT)
NOISE = np.random.default_rng(0).integers(0, 256, (30, 20, 3), np.uint8)


def decoded(data: Any, **params: Any) -> np.ndarray:
    mode = params.get("mode", "RGB")
    channels = {"RGB": 3, "L": 1, "RGBA": 4}[mode]
    sig = signature(spec("x", "uint8", -1, -1, -1, channels), OUT)
    return chain(sig, [{"decode_image": params or None}]).prepare({"x": data})["x"]


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP", "GIF", "JPEG"])
def test_every_format(kind: str) -> None:
    more = {"lossless": True} if kind == "WEBP" else {}

    out = decoded(png(NOISE, kind, **more))

    assert out.shape == (30, 20, 3)
    assert out.dtype == np.uint8
    if kind in ("PNG", "BMP", "WEBP"):
        np.testing.assert_array_equal(out, NOISE)


@pytest.mark.parametrize("kind", ["TIFF", "PPM", "ICO"])
def test_other_formats_are_refused(kind: str) -> None:
    with pytest.raises(InvalidInput, match="no image of a known format"):
        decoded(png(NOISE, kind))


@pytest.mark.parametrize(
    ("array", "mode", "channels"),
    [
        pytest.param(NOISE, "L", 1, id="colour-to-grey"),
        pytest.param(NOISE[:, :, 0], "RGB", 3, id="grey-to-colour"),
        pytest.param(NOISE, "RGBA", 4, id="colour-to-alpha"),
        pytest.param(np.dstack([NOISE, NOISE[:, :, 0]]), "RGB", 3, id="alpha-to-colour"),
    ],
)
def test_modes(array: np.ndarray, mode: str, channels: int) -> None:
    assert decoded(png(array), mode=mode).shape == (30, 20, channels)


def test_sixteen_bit_grey_keeps_its_range() -> None:
    out = io.BytesIO()
    Image.fromarray(np.array([[0, 32768, 65535]], np.uint16)).save(out, "PNG")

    assert decoded(out.getvalue(), mode="L")[0, :, 0].tolist() == [0, 128, 255]


def test_base64_and_data_urls_are_understood() -> None:
    encoded = base64.b64encode(png(NOISE))

    np.testing.assert_array_equal(decoded(encoded), NOISE)
    np.testing.assert_array_equal(decoded(b"data:image/png;base64," + encoded), NOISE)
    np.testing.assert_array_equal(decoded(encoded.decode()), NOISE)


def test_photographs_are_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter; shown 20 high and 30 wide

    assert decoded(png(NOISE, "JPEG", exif=exif.tobytes())).shape == (20, 30, 3)


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    bomb = (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
        + struct.pack(">I", zlib.crc32(chunk)) + struct.pack(">I", 0) + b"IDAT"
    )  # fmt: skip

    with pytest.raises(InvalidInput):
        decoded(bomb)


def scans(count: int) -> bytes:
    """Return a JPEG file of so many scans, of which each goes over all of it."""
    out = io.BytesIO()
    Image.new("L", (7000, 7000)).save(out, "JPEG", progressive=True)
    data = out.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * (count - data.count(b"\xff\xda")) + data[-2:]


def test_a_progressive_image_has_few_scans() -> None:
    """Of a hundred thousand, 80 bytes each, every one would take a thirtieth of a second."""
    with pytest.raises(InvalidInput, match="more than 64 scans"):
        decoded(scans(100_000))
    assert decoded(scans(8)).shape == (7000, 7000, 3)


def test_a_jpeg_file_has_few_segments() -> None:
    out = io.BytesIO()
    Image.new("L", (4, 4)).save(out, "JPEG")
    data = out.getvalue()
    film = b"\xff\xda" * 1000  # some cameras append one

    assert decoded(data[:2] + b"\xff\xe5\0\2" * 1000 + data[2:] + film).shape == (4, 4, 3)
    with pytest.raises(InvalidInput, match="more than 4096 segments"):
        decoded(data[:2] + b"\xff\xe5\0\2" * (1 << 20) + data[2:])


def test_the_limit_of_pixels() -> None:
    with pytest.raises(InvalidInput, match="20x30 pixels, over the 100 taken"):
        decoded(png(NOISE), max_pixels=100)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "BMP"]), st.data())
def test_broken_images_are_invalid_input_and_nothing_else(kind: str, data: st.DataObject) -> None:
    whole = bytearray(png(NOISE, kind))
    for _ in range(data.draw(st.integers(0, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    part = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    message = ""
    try:
        assert decoded(part).dtype == np.uint8
    except InvalidInput as error:
        message = error.message
    assert "0x" not in message


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_truncated_image_is_refused(kind: str) -> None:
    data = png(NOISE, kind)

    with pytest.raises(InvalidInput):
        decoded(data[: len(data) // 2])


@pytest.mark.parametrize("value", [b"", "", "hello", b"\0\1", 7, None], ids=repr)
def test_what_is_no_image(value: Any) -> None:
    with pytest.raises(InvalidInput):
        decoded(value)


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **more: Any) -> Any:
        if name == "PIL":
            raise ImportError(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(MissingExtra, match=r"inferd\[image\]") as caught:
        chain(ANY, ["decode_image"])
    assert "model.yaml:1: preprocess[0]: decode_image needs" in caught.value.message
    resized = signature(spec("x", "uint8", -1, 8, 8, 3), OUT)
    assert chain(resized, [{"resize": 8}]).prepare({"x": NOISE})["x"].shape == (8, 8, 3)


def test_the_digits_chain() -> None:
    chained = chain(
        DIGITS,
        [
            {"decode_image": "L"}, {"resize": 8}, {"layout": "CHW"}, {"cast": "float32"},
            {"normalize": {"min": 0, "max": 255}}, {"reshape": [-1, 64]},
        ],
    )  # fmt: skip
    square = np.zeros((8, 8), np.uint8)
    square[2:4, 3] = 255

    collated = chained.collate([chained.prepare({"x": png(square)}) for _ in range(3)])
    given = chained.before(collated.inputs)["x"]

    (seen,) = chained.external.inputs
    assert (seen.dtype, seen.shape, seen.content) == (BYTES, (-1,), "image")
    assert chained.by_item
    assert chained.plan.key_axes == ()
    assert chained.plan.max_batch is None
    assert given.dtype == np.float32
    np.testing.assert_allclose(given, np.tile(square.reshape(1, 64) / 255, (3, 1)), rtol=1e-6)


def test_images_of_a_request_without_resize_go_one_by_one() -> None:
    chained = chain(ANY, ["decode_image"])

    assert chained.plan.max_batch == 1
    assert chained.plan.split


def test_an_image_of_the_wrong_size_for_the_model() -> None:
    chained = chain(RESNET, ["decode_image", {"layout": "CHW"}, {"cast": "float32"}])
    collated = chained.collate([chained.prepare({"x": png(NOISE)})])

    with pytest.raises(InvalidInput, match=r"\[3, 30, 20\].*takes \[3, 32, 32\]"):
        chained.before(collated.inputs)


def test_arrays_are_resized_too_and_share_a_batch() -> None:
    chained = chain(RESNET, [{"resize": 32}, {"layout": "CHW"}])
    rows = [{"x": np.ones((n, 9, 3), np.float32)} for n in (4, 40)]

    collated = chained.collate([chained.prepare(r) for r in rows])

    (seen,) = chained.external.inputs
    assert (seen.dtype, seen.shape) == (FP32, (-1, -1, -1, 3))
    assert chained.plan.key_axes == ()
    np.testing.assert_allclose(chained.before(collated.inputs)["x"], 1, rtol=1e-5)


def test_batch_steps_before_an_item_step_run_on_each_example() -> None:
    chained = chain(
        RESNET, [{"layout": "CHW"}, {"normalize": {"mean": [1, 1, 1], "std": 1}},
                 {"resize": {"size": 32, "layout": "CHW"}}],
    )  # fmt: skip

    out = chained.prepare({"x": np.full((5, 7, 3), 3, np.float32)})["x"]

    assert out.shape == (3, 32, 32)
    np.testing.assert_allclose(out, 2, rtol=1e-5)


def test_the_shortest_edge() -> None:
    chained = chain(RESNET, [{"resize": {"shortest": 32}}, {"center_crop": 32}, {"layout": "CHW"}])

    for height, width in ((50, 100), (100, 50), (8, 9)):
        row = chained.prepare({"x": np.zeros((height, width, 3), np.float32)})
        assert row["x"].shape == (32, 32, 3)
    with pytest.raises(InvalidInput, match="over the"):
        chained.prepare({"x": np.zeros((1, 2_000_000, 3), np.float32)})


def test_center_crop_takes_the_middle() -> None:
    sig = signature(spec("x", "float32", -1, 2, 2, 1), OUT)
    chained = chain(sig, [{"center_crop": 2}])
    x = np.arange(16, dtype=np.float32).reshape(4, 4, 1)

    assert chained.prepare({"x": x})["x"][:, :, 0].tolist() == [[5, 6], [9, 10]]
    with pytest.raises(InvalidInput, match="smaller than the crop"):
        chained.prepare({"x": x[:1]})


@pytest.mark.parametrize(
    ("before", "said"),
    [
        pytest.param([{"resize": 8}, {"center_crop": 9}], "smaller than the crop", id="crop"),
        pytest.param([{"resize": {"size": 8, "shortest": 8}}], "one of them", id="both-sizes"),
        pytest.param([{"resize": {}}], "one of them", id="no-size"),
        pytest.param([{"resize": [1, 2, 3]}], r"\[height, width\]", id="three"),
        pytest.param([{"resize": {"size": 8, "method": "cubic"}}], "bicubic", id="method"),
        pytest.param([{"resize": 100000}], "over", id="enormous"),
        pytest.param([{"decode_image": "HSV"}], "unknown value 'HSV'", id="mode"),
        pytest.param(["decode_image"], "takes FP32", id="no-cast"),
        pytest.param([{"decode_image": {"input": "z"}}], "no tensor 'z' here", id="no-such-input"),
        pytest.param([{"resize": 16}, {"layout": "CHW"}], r"\[-1, 3, 16, 16\]", id="size"),
    ],
)
def test_what_cannot_be(before: list[Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        chain(RESNET, before, directory=Path("nowhere"))


@pytest.mark.parametrize("step", ["decode_image", {"resize": 8}, {"center_crop": 8}], ids=str)
@pytest.mark.parametrize(
    ("shape", "said"),
    [([-1, 3], r"FP32 \[3\]"), ([-1], r"FP32 \[\]"), ([-1, 1, 2, 3, 4], r"\[1, 2, 3, 4\]")],
    ids=["row", "number", "volume"],
)
def test_before_what_takes_no_images(step: Any, shape: list[int], said: str) -> None:
    sig = signature(spec("x", "float32", *shape), OUT)

    with pytest.raises(ConfigError, match=rf"three axes, but an example of 'x' is .*{said}"):
        chain(sig, [step])
