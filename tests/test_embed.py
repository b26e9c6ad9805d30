"""``inferd.load``: a model in this process or in a worker, called from anywhere."""

import asyncio
import threading

import numpy as np
import pytest
from tests.server.applications import everything, reading, write

import inferd
from inferd.core.errors import ConfigError, InvalidInput, ModelFailed, ModelFileError, Unavailable
from inferd.core.message import Request
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES, FP16, FP32, INT8, INT32, INT64
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

    with pytest.raises(Unavailable, match="the model is closed") as caught:
        loaded.predict([1, 2])
    assert "inferd.load" in caught.value.help
    with pytest.raises(Unavailable, match="the model is closed"):
        asyncio.run(loaded.apredict([1, 2]))


def test_a_pickle_is_loaded_where_it_is_trusted(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "net"
    path.mkdir()
    torch.save(torch.nn.Linear(4, 2), path / "net.pth")
    (path / "model.yaml").write_text(
        "signature:\n  inputs: [{name: x, dtype: float32, shape: [-1, 4]}]\n"
        "  outputs: [{name: y, dtype: float32, shape: [-1, 2]}]\n"
    )

    with pytest.raises(ModelFileError, match="--trust-pickle net"):
        inferd.load(path)
    for trust in ({"trust_pickle": True}, {"trust_pickle": ["net"]},
                  {"trust_pickle": True, "model": "net"}):  # fmt: skip
        with inferd.load(path, **trust) as loaded:
            assert loaded.predict([1, 2, 3, 4]).shape == (2,)


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
    ("dtype", "given"),
    [
        (INT8, np.array([1, 300])),
        (INT8, np.array([-129, 2])),
        (INT32, np.array([2**40 + 5, 2])),
        (FP16, np.array([1e6, 1.0])),
        (FP32, np.array([True, False])),
    ],
    ids=["too large", "too small", "far too large", "infinite", "booleans"],
)
def test_an_array_that_the_datatype_cannot_hold_is_refused(dtype, given):
    signature = Signature((TensorSpec("n", dtype, (-1,)),), (TensorSpec("y", FP32, (-1,)),))

    with pytest.raises(InvalidInput, match=f"takes {dtype}; the array holds"):
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


SAYING = """
from inferd import Model

class Says(Model):
    inputs = {"n": ("int8", [-1])}
    outputs = {"t": ("string", [-1]), "s": ("float32", [-1, 2])}

    def predict(self, n):
        return {"t": [b"\\xff" if i < 0 else "\u00e4" for i in n], "s": [[0.0, float(i)] for i in n]}
"""


@pytest.mark.parametrize("executor", ["inline", "worker"])
def test_a_model_answers_texts_and_refuses_what_would_wrap(tmp_path, executor):
    (tmp_path / "says.py").write_text(SAYING)
    (tmp_path / "labels.txt").write_text("no\nyes\n")
    (tmp_path / "model.yaml").write_text(
        "class: says:Says\npostprocess:\n  - argmax: {input: s}\n  - labels: labels.txt\n"
    )
    with inferd.load(tmp_path, executor=executor) as loaded:
        assert loaded.predict(1) == {"t": "\u00e4", "label": "yes"}
        assert loaded.predict([-1, 1]) == [
            {"t": b"\xff", "label": "no"},
            {"t": "\u00e4", "label": "yes"},
        ]
        with pytest.raises(InvalidInput, match="out of range"):
            loaded.predict(np.array([300, 1]))


TALK = """
from collections.abc import Iterator
from inferd import Model

class Talk(Model):
    def predict(self, prompt: str, count: int = 3) -> Iterator[str]:
        for i in range(count):
            yield f"{prompt}{i} "
"""


@pytest.mark.parametrize("executor", ["worker", "inline"])
def test_a_model_that_generates_is_read_in_pieces_or_whole(tmp_path, executor):
    (tmp_path / "talk.py").write_text(TALK)

    with inferd.load(tmp_path / "talk.py", executor=executor) as loaded:
        assert list(loaded.stream("a")) == ["a0 ", "a1 ", "a2 "]
        assert loaded.predict("b", parameters={"count": 1}) == "b0 "
        assert loaded.predict(["c", "d"]) == ["c0 c1 c2 ", "d0 d1 d2 "]
        pieces = loaded.stream("e", parameters={"count": 1000})
        assert next(pieces) == "e0 "
        pieces.close()
        with pytest.raises(InvalidInput, match="one example"):
            next(loaded.stream(["a", "b"]))


def test_a_model_that_does_not_generate_has_one_piece(model):
    (piece,) = model.stream([1, 2])

    assert np.allclose(piece, [2, 4])


@pytest.fixture(scope="module", params=["inline", "worker"])
def pipeline(request, tmp_path_factory):
    folder = everything(tmp_path_factory.mktemp("pipelines"))
    with inferd.load(folder, model="whole", executor=request.param) as loaded:
        yield loaded


def test_a_pipeline_brings_what_it_asks(pipeline):
    assert pipeline.name == "whole"
    assert pipeline.predict([2, 1, 1, 1]) == {"sum": 160.0, "text": "5 rows, plain"}
    many = pipeline.predict([[2, 1, 1, 1], [0, 0, 0, 0]])
    assert [row["text"] for row in many] == ["5 rows, plain", "1 rows, plain"]
    with pytest.raises(ModelFailed, match="step 'read': step 'cut': ValueError: a bad item"):
        pipeline.predict([-1.5, 0, 0, 0])


def test_a_request_is_answered_with_the_time_of_each_step(pipeline):
    x = np.array([[2, 1, 1, 1]], np.float32)
    answer = pipeline.ask(Request("whole", {"x": x}))
    assert [s.name for s in answer.timings.steps] == ["first", "read"]
    assert answer.outputs["sum"].tolist() == [160.0]


def test_a_directory_of_one_pipeline_means_it(tmp_path):
    folder = reading(tmp_path) / "reading"
    for path in (folder, folder / "pipeline.yaml"):
        with inferd.load(path) as loaded:
            assert loaded.name == "reading"
            assert loaded.predict({"x": [1, 1, 1, 1], "loud": True})["text"] == "1 ROWS, PLAIN!"


def test_a_pipeline_answers_in_pieces(tmp_path):
    with inferd.load(everything(tmp_path), model="telling") as loaded:
        assert list(loaded.stream("Ann")) == ["Ann said", " one", " two", " three"]
        assert loaded.predict("Ann") == "Ann said one two three"


def test_what_is_wrong_with_a_pipeline_is_said(tmp_path):
    write(reading(tmp_path), {"reading/steps.py": "raise OSError('not here')"})
    before = threading.enumerate()
    with pytest.raises(ModelFileError, match=r"pipeline\.yaml:7: step 'cut': .*OSError: not here"):
        inferd.load(tmp_path / "reading")
    assert not [t for t in threading.enumerate() if t.name == "inferd" and t not in before]


OPTIONAL = """
from inferd import Model

class Times(Model):
    def predict(self, x, scale):
        return {"y": x * scale[:, None]}
"""


@pytest.mark.parametrize("executor", ["inline", "worker"])
def test_an_input_that_has_a_default_may_be_left_out(tmp_path, executor):
    (tmp_path / "times.py").write_text(OPTIONAL)
    (tmp_path / "model.yaml").write_text(
        "class: times:Times\nsignature:\n"
        "  inputs: [{name: x, dtype: float32, shape: [-1, 2]}, "
        "{name: scale, dtype: float32, shape: [-1], default: 3}]\n"
        "  outputs: [{name: y, dtype: float32, shape: [-1, 2]}]\n"
    )
    with inferd.load(tmp_path, executor=executor) as loaded:
        for data in (
            [1, 2],
            {"x": [1, 2]},
            {"x": np.array([1, 2], np.float32)},
            np.array([1.0, 2]),
        ):
            assert loaded.predict(data).tolist() == [3, 6]
        assert loaded.predict([{"x": [1, 2]}, {"x": [1, 2], "scale": 1}]).tolist() == [
            [3, 6],
            [1, 2],
        ]
