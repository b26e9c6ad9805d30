"""What every runtime keeps to, whatever its framework: one suite over all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inferd.core.errors import ModelFileError
from inferd.core.runtime import Runtime
from inferd.core.signature import Signature
from inferd.runtimes.registry import RUNTIMES, create

from .conftest import SIGNATURE

PYTHON = """
from typing import Annotated
import numpy as np
from inferd import Model

class Softmax(Model):
    def predict(
        self, x: Annotated[np.ndarray, "float32", (-1, 4)]
    ) -> Annotated[np.ndarray, "float32", (-1, 3)]:
        e = np.exp(x[:, :3])
        return e / e.sum(1, keepdims=True)
"""

Case = tuple[str, Path, dict[str, Any]]


# A script reads bodies, no numbers, the steps of a pipeline have no batch, and speech is no row of four:
# test_sagemaker.py, test_steps.py and test_whisper.py hold them to their own signatures.
OTHERS = ("genai", "sagemaker", "steps", "whisper")


@pytest.fixture(params=[entry.name for entry in RUNTIMES if entry.name not in OTHERS])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    """(runtime, artifact, options) of a model of four numbers in and three out."""
    if request.param == "onnx":
        return "onnx", request.getfixturevalue("linear"), {}
    if request.param == "torch":
        pytest.importorskip("torch")
        files = request.getfixturevalue("torch_files")
        return "torch", files["state.pth"], {"factory": "net:Net", "signature": SIGNATURE}
    assert request.param == "python", "a new runtime needs a case here"
    path = tmp_path / "softmax.py"
    path.write_text(PYTHON)
    return "python", path, {}


@pytest.fixture
def load(case: Case) -> Callable[[], tuple[Runtime, Signature]]:
    name, artifact, options = case

    def loaded() -> tuple[Runtime, Signature]:
        runtime = create(name)
        given = {"threads": 1, "directory": str(artifact.parent), **options}
        return runtime, runtime.load(artifact, given)

    return loaded


def rows(count: int) -> np.ndarray:
    return np.random.default_rng(count).normal(size=(count, 4)).astype(np.float32)


def test_it_says_what_it_is(load, case):
    runtime, _ = load()

    assert runtime.name == case[0]
    assert isinstance(runtime.releases_gil, bool) and isinstance(runtime.keeps_inputs, bool)
    name, _, version = runtime.version().partition(" ")
    assert name and version[0].isdigit()


def test_the_signature_is_batched_and_crosses_as_json(load):
    _, signature = load()

    assert signature.batched and len(signature.inputs) == len(signature.outputs) == 1
    assert signature.inputs[0].shape == (-1, 4) and signature.outputs[0].shape == (-1, 3)
    assert Signature.from_json(signature.to_json()) == signature


def test_outputs_are_as_the_signature_says(load):
    runtime, signature = load()
    outputs = runtime.run({signature.inputs[0].name: rows(5)})

    assert list(outputs) == [s.name for s in signature.outputs]
    for spec in signature.outputs:
        array = outputs[spec.name]
        assert isinstance(array, np.ndarray) and array.dtype == spec.dtype.numpy
        assert array.shape == (5, 3)


def test_a_batch_answers_each_row_as_if_it_were_alone(load):
    runtime, signature = load()
    x, name = rows(7), signature.inputs[0].name
    (together,) = runtime.run({name: x}).values()

    alone = [next(iter(runtime.run({name: x[i : i + 1]}).values())) for i in range(7)]

    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-5)


def test_an_answer_outlives_its_inputs(load):
    runtime, signature = load()
    x = rows(3)
    (answer,) = runtime.run({signature.inputs[0].name: x}).values()
    before = answer.copy()

    x[:] = 0
    runtime.run({signature.inputs[0].name: rows(3) * 5})

    np.testing.assert_array_equal(answer, before)


def test_threads_may_run_at_once_where_it_says_so_and_else_in_turn(load):
    runtime, signature = load()
    name, wrong = signature.inputs[0].name, []

    def work(seed: int) -> None:
        x = rows(seed)
        (want,) = runtime.run({name: x}).values()
        for _ in range(50):
            (got,) = runtime.run({name: x}).values()
            if not np.array_equal(got, want):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(n,)) for n in (2, 3, 4)]
    for thread in threads:
        thread.start()
        if not runtime.releases_gil:
            thread.join()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_two_of_one_kind_do_not_share_anything(load):
    (first, signature), (second, _) = load(), load()
    first.close()
    assert second.run({signature.inputs[0].name: rows(2)})


def test_closing_is_idempotent(load):
    runtime, _ = load()
    runtime.close()
    runtime.close()


@pytest.mark.parametrize(
    "content", [None, b"", b"\x08\x08garbage"], ids=["missing", "empty", "garbage"]
)
def test_what_cannot_be_loaded_is_named(case, tmp_path, content):
    name, artifact, options = case
    path = tmp_path / f"broken{artifact.suffix}"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ModelFileError) as caught:
        create(name).load(path, {"threads": 1, "directory": str(tmp_path), **options})
    assert "broken" in caught.value.message
