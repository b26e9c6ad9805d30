import io
import sys

import numpy as np
import pytest

from inferd.client.foreign import is_foreign, is_frame, is_image, is_series, library, png, unfold
from inferd.core.errors import InvalidInput, MissingExtra
from inferd.core.tensor import BYTES, FP32, UINT8


def test_plain_values_are_left_alone():
    for value in (1, 1.5, "a", b"b", [1], {"a": 1}, None, np.ones(2), np.float32(1)):
        assert not is_foreign(value)
        assert unfold(value, FP32) is value


def test_nothing_is_imported_to_recognise_a_value(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)

    assert not is_frame([]) and not is_series([]) and not is_image([])


def test_a_missing_library_names_its_extra():
    with pytest.raises(MissingExtra, match="this needs the library 'nothere'") as error:
        library("nothere.at.all", "pandas", "this")
    assert "inferd[pandas]" in error.value.help


def test_whatever_offers_an_array_is_one():
    class Tensor:
        def __array__(self, dtype=None, copy=None):
            return np.arange(3)

    class Broken:
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("requires grad")

    assert unfold(Tensor(), FP32).tolist() == [0, 1, 2]
    with pytest.raises(InvalidInput, match="requires grad"):
        unfold(Broken(), FP32)


def test_torch_tensors_are_arrays():
    torch = pytest.importorskip("torch")

    assert unfold(torch.ones(2, 3), FP32).shape == (2, 3)
    with pytest.raises(InvalidInput, match="cannot be read as an array"):
        unfold(torch.ones(2, requires_grad=True), FP32)


def test_images_are_files_or_pixels():
    images = pytest.importorskip("PIL.Image")
    image = images.new("RGB", (3, 2), (1, 2, 3))

    assert unfold(image, UINT8).shape == (2, 3, 3)
    with images.open(io.BytesIO(unfold(image, BYTES))) as again:
        assert np.array_equal(np.asarray(again), np.asarray(image))
    assert unfold(images.new("P", (3, 2)), UINT8).shape == (2, 3, 3)
    assert unfold(images.new("L", (3, 2)), UINT8).shape == (2, 3)
    with images.open(io.BytesIO(png(images.new("CMYK", (3, 2))))) as again:
        assert again.mode == "RGB"


def test_how_an_image_is_turned_goes_with_it():
    images = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    image = images.new("RGB", (3, 2))
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    image.save(file, "JPEG", exif=exif)
    with (
        images.open(io.BytesIO(file.getvalue())) as photo,
        images.open(io.BytesIO(png(photo))) as again,
    ):
        assert again.getexif()[0x0112] == 6
        assert again.size == (3, 2)


def test_files_that_cannot_be_read(tmp_path):
    pytest.importorskip("PIL.Image")
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(InvalidInput, match="No such file"):
        unfold(tmp_path / "missing.png", BYTES)
    with pytest.raises(InvalidInput, match="is not an image"):
        unfold(tmp_path / "a.png", UINT8)
    assert unfold(tmp_path / "a.png", BYTES) == b"no image"
