import pytest

from inferd.control.classes import class_labels
from inferd.core.step import Step
from inferd.repository.spec import ModelSpec


def spec(folder, *steps):
    return ModelSpec("m", "1", "onnx", folder, postprocess=tuple(Step(*s) for s in steps))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    return tmp_path


@pytest.mark.parametrize(
    "params",
    ["names.txt", {"file": "names.txt"}, ["cat", "dog"], {"values": ["cat", "dog"]}],
    ids=["name", "file", "list", "values"],
)
def test_the_labels_of_the_step_are_the_classes(folder, params):
    assert class_labels(spec(folder, ("softmax", None), ("labels", params))) == ("cat", "dog")


def test_a_file_of_labels_beside_the_model_is_found(folder):
    (folder / "labels.txt").write_text("a\nb\nc\n")

    assert class_labels(spec(folder)) == ("a", "b", "c")


@pytest.mark.parametrize("params", ["missing.txt", "../names.txt", 5, None, {}], ids=str)
def test_what_cannot_be_read_has_no_labels(folder, params):
    assert class_labels(spec(folder, ("labels", params))) == ()


def test_a_model_without_labels_has_none(folder):
    assert class_labels(spec(folder)) == ()
