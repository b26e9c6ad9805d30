import numpy as np
import pytest
from tests.codecs.signatures import signature

from inferd.client.generate import prompted, text_of
from inferd.client.result import Result
from inferd.core.errors import InvalidInput
from inferd.core.signature import Signature

LONE = signature([("q", "BYTES", [-1])], [("a", "BYTES", [-1])])
CHAT = signature(
    [("messages", "BYTES", [-1]), ("prompt", "BYTES", [-1]), ("stream", "BOOL", [-1])],
    [("finish_reason", "BYTES", [-1]), ("text", "BYTES", [-1]), ("n", "INT64", [-1])],
)
NUMBERS = signature([("x", "FP32", [-1])], [("y", "FP32", [-1])])
NOTHING = Signature((), ())


def result(**outputs):
    arrays = {}
    for name, value in outputs.items():
        arrays[name] = np.array(value, object if isinstance(value, bytes) else None)
    return Result(arrays)


@pytest.mark.parametrize(
    ("sig", "inputs"),
    [(LONE, {"q": "x"}), (CHAT, {"prompt": "x"}), (NOTHING, {"text_input": "x"})],
    ids=["lone", "named", "undeclared"],
)
def test_the_prompt_goes_to_its_input(sig, inputs):
    assert prompted("x", sig) == inputs
    assert prompted({"other": 1}, sig) == {"other": 1}


def test_a_model_without_a_prompt_is_refused():
    with pytest.raises(InvalidInput, match="no input for a prompt") as error:
        prompted("x", NUMBERS)
    assert "'x'" in error.value.help


@pytest.mark.parametrize(
    ("sig", "outputs", "text"),
    [
        (LONE, {"a": "é".encode()}, "é"),
        (CHAT, {"text": b"t", "finish_reason": b"stop"}, "t"),
        (CHAT, {"finish_reason": b"stop"}, ""),
        (CHAT, {"n": 3}, ""),
        (NOTHING, {"text_output": b"t"}, "t"),
        (NUMBERS, {"y": 1.0}, ""),
    ],
    ids=str,
)
def test_the_text_of_a_piece(sig, outputs, text):
    assert text_of(result(**outputs), sig) == text
