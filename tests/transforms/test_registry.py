"""The registry: complete, and in step with its document."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.transforms.chains import chain, png, signature, spec

from inferd.config.sources import parse_yaml
from inferd.core.step import Step
from inferd.transforms.operation import BATCH, ITEM, POSTPROCESS, PREPROCESS
from inferd.transforms.parameter import parse_parameters
from inferd.transforms.registry import TRANSFORMS, markdown, of_phase

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "transforms.md"

BEFORE = {
    "cast", "normalize", "reshape", "pad", "impute", "one_hot", "decode_image", "resize",
    "center_crop", "layout", "tokenize", "decode_audio", "mono", "resample", "log_mel",
    "voice_activity",
}  # fmt: skip
AFTER = {
    "softmax", "sigmoid", "argmax", "top_k", "labels", "threshold", "sort", "round",
    "decode_tokens",
}  # fmt: skip
SEEN_SINGLY = {
    "decode_image", "resize", "center_crop", "tokenize", "decode_audio", "mono", "resample",
    "log_mel", "voice_activity",
}  # fmt: skip


def test_every_transform_is_there_with_its_scope() -> None:
    assert {t.name for t in of_phase(PREPROCESS)} == BEFORE
    assert {t.name for t in of_phase(POSTPROCESS)} == AFTER
    for name, transform in TRANSFORMS.items():
        assert transform.scope == (ITEM if name in SEEN_SINGLY else BATCH)


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_its_row_is_complete_and_its_example_is_valid(name: str) -> None:
    transform = TRANSFORMS[name]
    listed = parse_yaml(f"steps:\n  - {transform.example}\n", "example")["steps"][0]
    found, params = (listed, None) if isinstance(listed, str) else next(iter(listed.items()))

    args = parse_parameters(Step(found, params), transform.parameters, transform.short)

    assert found == name
    assert transform.summary.endswith(".")
    assert transform.spec.endswith(".")
    assert set(transform.short) <= {p.name for p in transform.parameters}
    assert len(args) == len(transform.parameters) + 2


def test_the_first_example_of_the_document_is_true(tmp_path: Path) -> None:
    block = DOCUMENT.read_text("utf-8").split("```yaml\n")[1].split("```")[0]
    declared = parse_yaml(block, "model.yaml").plain()
    (tmp_path / "labels.txt").write_text("\n".join(f"class {i}" for i in range(1000)))
    resnet = signature(spec("x", "float32", -1, 3, 224, 224), spec("y", "float32", -1, 1000))

    chained = chain(resnet, declared["preprocess"], declared["postprocess"], tmp_path)
    photograph = png(np.full((300, 400, 3), 128), "JPEG")
    collated = chained.collate([chained.prepare({"x": photograph})] * 2)
    given = chained.before(collated.inputs)["x"]

    assert given.dtype == np.float32
    assert given.shape == (2, 3, 224, 224)
    np.testing.assert_allclose(
        given[0, :, 0, 0], (128 / 255 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225],
        rtol=1e-4,
    )  # fmt: skip
    assert [s.name for s in chained.external.outputs] == ["label", "score"]


def test_the_document_holds_the_reference() -> None:
    assert markdown() in DOCUMENT.read_text("utf-8"), "run `make docs`"
