from __future__ import annotations

import os

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from inferd.core.errors import ModelFileError
from inferd.runtimes.onnx import ONNXRuntime
from inferd.runtimes.onnxfile import check_external_data, extents, is_model, locations, unshaped
from inferd.runtimes.protowalk import Corrupt

from .conftest import linear_onnx, onnx_bytes, value

WEIGHTS = np.arange(12, dtype=np.float32).reshape(4, 3)


def tensor(location):
    made = numpy_helper.from_array(WEIGHTS, "w")
    made.ClearField("raw_data")
    made.data_location = TensorProto.EXTERNAL
    for key, entry in (("location", location), ("offset", "0"), ("length", str(WEIGHTS.nbytes))):
        row = made.external_data.add()
        row.key, row.value = key, entry
    return made


def external(location):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    return onnx_bytes(nodes, [value("x", ["n", 4])], [value("y", ["n", 3])], [tensor(location)])


@pytest.fixture
def folder(tmp_path):
    """A model directory beside a secret that must not be read."""
    home = tmp_path / "model"
    home.mkdir()
    (tmp_path / "secret.bin").write_bytes(WEIGHTS.tobytes())
    (home / "w.bin").write_bytes(WEIGHTS.tobytes())
    (home / "sub").mkdir()
    (home / "sub" / "w.bin").write_bytes(WEIGHTS.tobytes())
    (home / "link.bin").symlink_to(tmp_path / "secret.bin")
    (home / "inner-link.bin").symlink_to("w.bin")
    (home / "linked").symlink_to(tmp_path)
    os.link(tmp_path / "secret.bin", home / "hard.bin")
    return home


@pytest.mark.parametrize("location", ["w.bin", "sub/w.bin", "./w.bin"])
def test_plain_files_beside_the_model_are_data(folder, location):
    path = folder / "m.onnx"
    path.write_bytes(external(location))

    runtime = ONNXRuntime()
    runtime.load(path, {"threads": 1})

    x = np.ones((1, 4), np.float32)
    np.testing.assert_allclose(runtime.run({"x": x})["y"], x @ WEIGHTS)


@pytest.mark.parametrize(
    ("location", "says"),
    [
        pytest.param("../secret.bin", "leads out", id="parent"),
        pytest.param("sub/../../secret.bin", "leads out", id="deep-parent"),
        pytest.param("/etc/passwd", "not relative", id="absolute"),
        pytest.param("C:\\secret.bin", "not relative", id="drive"),
        pytest.param("..\\secret.bin", "leads out", id="backslash"),
        pytest.param("link.bin", "symbolic link", id="symlink"),
        pytest.param("inner-link.bin", "symbolic link", id="inner-symlink"),
        pytest.param("linked/secret.bin", "symbolic link", id="symlinked-parent"),
        pytest.param("hard.bin", "hard link", id="hard-link"),
        pytest.param("", "no file name", id="empty"),
        pytest.param("gone.bin", "is missing", id="missing"),
        pytest.param("sub", "not a plain file", id="directory"),
        pytest.param("*/_ORT_MEM_ADDR_/*", "not relative", id="memory-address"),
        pytest.param("w.bin\n", "no file name", id="newline"),
    ],
)
def test_anything_else_is_refused_before_it_is_read(folder, location, says):
    path = folder / "m.onnx"
    path.write_bytes(external(location))

    with pytest.raises(ModelFileError, match=says) as caught:
        ONNXRuntime().load(path, {"threads": 1})
    assert str(path) in caught.value.message


@pytest.mark.parametrize("size", [0, WEIGHTS.nbytes - 1])
def test_data_that_is_cut_off_is_refused_with_both_sizes(folder, size):
    (folder / "m.onnx").write_bytes(external("w.bin"))
    (folder / "w.bin").write_bytes(bytes(size))

    with pytest.raises(ModelFileError, match=f"has {size} bytes, and {WEIGHTS.nbytes} are needed"):
        check_external_data(folder / "m.onnx")


def test_a_tensor_may_say_nothing_sensible_of_its_extent(folder):
    odd = tensor("w.bin")
    odd.external_data[1].value, odd.external_data[2].value = "-4", "9" * 40

    assert extents(onnx_bytes([], [], [], [odd, tensor("a"), tensor("w.bin")])) == {
        "w.bin": WEIGHTS.nbytes, "a": WEIGHTS.nbytes,
    }  # fmt: skip


def test_external_data_is_found_wherever_a_tensor_can_be():
    inner = helper.make_graph(
        [helper.make_node("Identity", ["w"], ["z"])],
        "inner",
        [],
        [value("z", None)],
        [tensor("in-branch")],
    )
    constant = helper.make_node("Constant", [], ["c"], value=tensor("in-attribute"))
    branch = helper.make_node("If", ["b"], ["y"], then_branch=inner, else_branch=inner)
    data = onnx_bytes(
        [constant, branch],
        [value("b", [], TensorProto.BOOL)],
        [value("y", None)],
        [tensor("in-graph")],
    )

    assert set(locations(data)) == {"in-graph", "in-attribute", "in-branch"}


def test_a_fifo_is_no_data_file(folder):
    os.mkfifo(folder / "pipe")
    (folder / "m.onnx").write_bytes(external("pipe"))
    with pytest.raises(ModelFileError, match="not a plain file"):
        check_external_data(folder / "m.onnx")


def test_a_model_is_known_by_its_outermost_fields():
    data = linear_onnx()
    assert is_model(data)
    assert not is_model(b"") and not is_model(b"\x08") and not is_model(b"hello world")
    with pytest.raises(Corrupt):
        is_model(data[:-5])


def test_values_without_a_shape_are_named(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(
        onnx_bytes(
            [helper.make_node("Add", ["a", "b"], ["y"])],
            [value("a", None), value("b", [])],
            [value("y", None)],
        )
    )
    assert unshaped(path) == {"a", "y"}


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.9])
def test_a_broken_model_is_the_runtimes_refusal(tmp_path, cut):
    data = linear_onnx()
    path = tmp_path / "cut.onnx"
    path.write_bytes(data[: int(len(data) * cut)])
    with pytest.raises(ModelFileError, match="cut.onnx") as caught:
        ONNXRuntime().load(path, {"threads": 1})
    assert "\n" not in caught.value.message
