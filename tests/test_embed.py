"""``inferd.load``: a model in this process or in a worker, called from anywhere."""

import asyncio
import threading

import numpy as np
import pytest

import inferd
from inferd.core.errors import ConfigError, InferdError, InvalidInput
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES, FP32, INT8, INT64
from inferd.embed import as_tensors, plain, with_texts

CODE = """
from inferd import Model

class Twice(Model):
    inputs = {"x": ("float32", [-1, 2])}
    outputs = {"y": ("float32", [-1, 2])}

    def predict(self, inputs):
        return {"y": inputs["x"] * 2}
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("embed")
    (folder / "twice.py").write_text(CODE)
    (folder / "model.yaml").write_text("class: twice:Twice\n")
    return folder


@pytest.fixture(scope="module", params=["inline", "worker"])
def model(request, path):
    with inferd.load(path, executor=request.param) as loaded:
        yield loaded


def test_one_example_a_batch_and_arrays(model):
    assert np.allclose(model.predict([1, 2]), [2, 4])
    assert np.allclose(model.predict([[1, 2], [3, 4]]), [[2, 4], [6, 8]])
    assert np.allclose(model.predict({"x": np.ones((3, 2), np.float32)}), np.full((3, 2), 2))
    assert np.allclose(model.predict(np.array([5.0, 6.0])), [10, 12])


def test_what_it_says_of_itself(model):
    assert model.signature.inputs[0].shape == (-1, 2)
    assert model.version == "1"
    assert model.describe()["instances"][0]["state"] == "ready"


def test_it_works_inside_a_running_loop(model):
    async def ask():
        return await asyncio.gather(*(model.apredict([i, i]) for i in range(5))), model.predict(
            [9, 9]
        )

    many, one = asyncio.run(ask())

    assert [row.tolist() for row in many] == [[2 * i, 2 * i] for i in range(5)]
    assert one.tolist() == [18, 18]


def test_threads_may_share_it(model):
    found = {}

    def ask(i):
        found[i] = model.predict([i, 0]).tolist()

    crew = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join(20)

    assert found == {i: [2 * i, 0] for i in range(8)}


def test_bad_data_is_an_error_of_ours(model):
    with pytest.raises(InvalidInput):
        model.predict([1, 2, 3])


def test_the_answer_of_the_server(model):
    assert model.answer("application/json", b'{"data":[1,2]}') == b'{"result":[2.0,4.0]}'


def test_a_closed_model_says_so(path):
    loaded = inferd.load(path)
    loaded.close()
    loaded.close()

    with pytest.raises(InferdError, match="closed"):
        loaded.predict([1, 2])


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"executor": "thread"}, InvalidInput, "unknown executor"),
        ({"model": "other"}, InvalidInput, "no such model"),
        ({"version": "9"}, InvalidInput, "no such model"),
    ],
    ids=["executor", "model", "version"],
)
def test_what_cannot_be_loaded(path, given, error, message):
    with pytest.raises(error, match=message):
        inferd.load(path, **given)


def test_a_missing_path(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        inferd.load(tmp_path / "nothing.onnx")


SIGNATURE = Signature(
    (TensorSpec("a", FP32, (-1, 2)), TensorSpec("n", INT64, (-1,))), (TensorSpec("y", FP32, (-1,)),)
)


def test_arrays_that_fit_are_taken_as_they_are():
    found = as_tensors({"a": np.ones((3, 2), np.float32), "n": np.arange(3)}, SIGNATURE)

    assert found is not None
    assert not found.single
    assert found.inputs["n"].dtype == np.int64


@pytest.mark.parametrize(
    "data",
    [
        {"a": np.ones((3, 2), np.float32)},
        {"a": np.ones((3, 2)), "n": np.ones(3)},
        {"a": [[1, 2]], "n": np.arange(1)},
        {"a": np.ones((3, 2, 1)), "n": np.arange(3)},
        [1, 2],
        {},
    ],
    ids=["missing", "floats-for-ints", "lists", "rank", "no-mapping", "empty"],
)
def test_everything_else_is_read_as_data(data):
    assert as_tensors(data, SIGNATURE) is None


def test_plain_data(tmp_path):
    (tmp_path / "f").write_bytes(b"\1")

    assert plain({"a": np.float32(1), "b": (b"\0", "t"), 3: tmp_path / "f"}) == {
        "a": 1.0, "b": [{"b64": "AA=="}, "t"], "3": {"b64": "AQ=="},
    }  # fmt: skip


def test_text_goes_as_text():
    signature = Signature((TensorSpec("t", BYTES, (-1,)),), (TensorSpec("y", FP32, (-1,)),))

    assert as_tensors({"t": np.array(["x"])}, signature) is None


@pytest.mark.parametrize(
    "given",
    [np.array([1, 300]), np.array([1, 2**40]), np.array([-129, 2])],
    ids=["too large", "far too large", "too small"],
)
def test_an_array_that_the_datatype_cannot_hold_is_refused(given):
    signature = Signature((TensorSpec("n", INT8, (-1,)),), (TensorSpec("y", FP32, (-1,)),))

    with pytest.raises(InvalidInput):
        as_tensors(given, signature)
    assert as_tensors(np.array([1, 127]), signature).inputs["n"].tolist() == [1, 127]


@pytest.mark.parametrize(
    "array",
    [np.array(["a", "b"]), np.array([b"a", b"b"]), np.array([b"a", "b"], object)],
    ids=["texts", "bytes", "both"],
)
def test_texts_are_texts_wherever_the_model_ran(array):
    assert with_texts({"t": array})["t"].tolist() == ["a", "b"]
    assert with_texts({"t": np.array([b"\xff"], object)})["t"].tolist() == [b"\xff"]
