"""The example request is one that the steps can work on."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.transforms.chains import TAGGER, chain, signature, spec

from inferd.transforms.chain import Chain
from inferd.transforms.example import png

OUT = spec("y", "float32", -1, 3)
TABLE = signature(spec("x", "float32", -1, 4), OUT)
SEQUENCE = signature(spec("x", "float32", -1, -1, 4), OUT)
SHORT = signature(spec("x", "int64", -1, 4), OUT)
IMAGE = signature(spec("x", "float32", -1, 3, 224, 192), OUT)
WHOLE = signature(spec("x", "float32", 2, -1), spec("y", "float32", 3), batched=False)


def worked(chained: Chain) -> dict[str, np.ndarray]:
    """Take the example through everything before the model."""
    request = chained.example()
    if chained.by_item:
        row = {n: a[0] for n, a in request.items()} if chained.plan.batched else request
        collated = chained.collate([chained.prepare(row)])
    else:
        collated = chained.concatenate([request])
    return chained.before(collated.inputs)


@pytest.mark.parametrize(
    ("sig", "before"),
    [
        pytest.param(TABLE, [], id="no-steps"),
        pytest.param(TABLE, [{"cast": {"to": "float32", "from": "string"}}], id="numbers-as-text"),
        pytest.param(TABLE, [{"one_hot": ["a", "b", "c", "d"]}], id="categories"),
        pytest.param(TABLE, [{"one_hot": {"categories": [7, 8], "column": 0}}], id="column"),
        pytest.param(
            signature(spec("x", "float32", -1, 1), OUT), [{"one_hot": 1}], id="one-class"
        ),
        pytest.param(SHORT, [{"pad": {"axis": 1, "to": 4}}], id="short"),
        pytest.param(TAGGER, [{"pad": 1}], id="mask"),
        pytest.param(SEQUENCE, [{"impute": 0}, {"pad": {"axis": 1, "multiple_of": 3}}], id="pad"),
        pytest.param(
            IMAGE,
            ["decode_image", {"center_crop": [224, 192]}, {"layout": "CHW"}, {"cast": "float32"}],
            id="crop",
        ),
        pytest.param(
            IMAGE, ["decode_image", {"layout": "CHW"}, {"cast": "float32"}], id="exact-image"
        ),
        pytest.param(IMAGE, [{"center_crop": [224, 192]}, {"layout": "CHW"}], id="array-crop"),
        pytest.param(
            IMAGE,
            ["decode_image", {"resize": {"shortest": 256}}, {"center_crop": [224, 192]},
             {"layout": "CHW"}, {"normalize": {"min": 0, "max": 255}}],
            id="resize-and-crop",
        ),
        pytest.param(WHOLE, [{"pad": {"axis": 1, "multiple_of": 4}}], id="unbatched"),
    ],
)  # fmt: skip
def test_the_steps_work_on_it(sig: Any, before: list[Any], tmp_path: Path) -> None:
    chained = chain(sig, before, directory=tmp_path)

    given = worked(chained)

    for wanted in sig.inputs:
        array = given[wanted.name]
        assert array.dtype == wanted.dtype.numpy
        assert len(array.shape) == len(wanted.shape)
        assert all(n in (-1, m) for n, m in zip(wanted.shape, array.shape, strict=True))


def test_it_is_as_the_external_signature_says() -> None:
    chained = chain(
        IMAGE, ["decode_image", {"resize": [224, 192]}, {"layout": "CHW"}, {"cast": "float32"}]
    )

    (request,) = chained.example().values()

    assert request.shape == (1,)
    assert request[0].startswith(b"\x89PNG")


def test_the_made_picture_can_be_read():
    image = pytest.importorskip("PIL.Image")
    picture = image.open(io.BytesIO(png(height=3, width=5)))

    assert picture.size == (5, 3) and picture.mode == "RGB"
    assert np.asarray(picture).shape == (3, 5, 3)
