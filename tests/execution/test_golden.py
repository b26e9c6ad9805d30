"""Golden requests: samples are read as a client would send them; made ones fit any signature."""

import pytest

from inferd.core.errors import ModelFileError
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature
from inferd.execution import golden
from inferd.execution.golden import MAX_SAMPLES, golden_samples, made_from
from inferd.scheduling.validate import Validator

SIGNATURE = Signature.from_json({
    "inputs": [{"name": "x", "dtype": "float32", "shape": [-1, 4]}],
    "outputs": [{"name": "y", "dtype": "float32", "shape": [-1]}],
})  # fmt: skip


def test_samples_are_request_bodies(tmp_path):
    file = tmp_path / "samples.json"
    file.write_text('[{"data": [1, 2, 3, 4]}, {"data": {"x": [[5, 6, 7, 8]]}}]')
    found = golden_samples(SIGNATURE, BatchPlan(), file)

    assert [f["x"].tolist() for f in found] == [[[1, 2, 3, 4]], [[5, 6, 7, 8]]]


def test_samples_are_bounded(tmp_path):
    file = tmp_path / "samples.json"
    file.write_text("[" + ",".join(['{"data": [1, 2, 3, 4]}'] * 100) + "]")

    assert len(golden_samples(SIGNATURE, BatchPlan(), file)) == MAX_SAMPLES


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read"),
        ("{", "not valid JSON"),
        ("{}", "must hold a list"),
        ("[]", "must hold a list"),
        ('[{"data": [1, 2, 3, 4]}, {"data": [1, 2]}]', "sample 1"),
        ("[3]", "sample 0"),
    ],
    ids=["missing", "broken", "object", "empty", "other-shape", "number"],
)
def test_samples_that_do_not_fit_are_told_with_the_file(tmp_path, text, words):
    file = tmp_path / "samples.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ModelFileError, match=words) as caught:
        golden_samples(SIGNATURE, BatchPlan(), file)
    assert str(file) in caught.value.message


@pytest.mark.skipif(not hasattr(golden, "made_from"), reason="made by the chain")
@pytest.mark.parametrize(
    "dtype", ["float32", "float16", "int64", "uint8", "bool", "string"], ids=str
)
@pytest.mark.parametrize(
    ("shape", "batched"), [([-1, -1, 3], True), ([-1], True), ([], False), ([2, 2], False)],
    ids=["ragged", "flat", "scalar", "fixed"],
)  # fmt: skip
def test_a_made_request_fits_its_signature(dtype, shape, batched):
    signature = Signature.from_json({
        "inputs": [{"name": "x", "dtype": dtype, "shape": shape}], "batched": batched,
    })  # fmt: skip
    validator = Validator(signature, BatchPlan(batched=batched))

    assert validator.layout(made_from(signature)).rows == 1
    first, second = made_from(signature)["x"], made_from(signature)["x"]
    assert first.tolist() == second.tolist()


OPTIONAL = Signature.from_json({
    "inputs": [
        {"name": "x", "dtype": "float32", "shape": [-1, 4]},
        {"name": "scale", "dtype": "int64", "shape": [-1], "default": 3},
    ],
    "outputs": [{"name": "y", "dtype": "float32", "shape": [-1]}],
})  # fmt: skip


def test_what_a_sample_leaves_out_is_its_default(tmp_path):
    file = tmp_path / "samples.json"
    file.write_text('[{"data": [1, 2, 3, 4]}, {"data": {"x": [1, 2, 3, 4], "scale": 5}}]')

    found = golden_samples(OPTIONAL, BatchPlan(), file)

    assert [f["scale"].tolist() for f in found] == [[3], [5]]
    assert made_from(OPTIONAL)["scale"].tolist() == [3]
