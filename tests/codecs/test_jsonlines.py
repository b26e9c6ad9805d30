import numpy as np
import pytest

from inferd.codecs.jsonlines import MAX_LINES, dumps, loads
from inferd.core.errors import InvalidInput, TooLarge


def test_a_line_is_a_value():
    assert loads(b'[1,2]\r\n\n  {"a": null}  \n3') == [[1, 2], {"a": None}, 3]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"[1]\n[2", "line 2: "),
        (b"1,2\n", "line 1: "),
        (b"[1]]\n", "line 1: "),
        (b"\n\n", "empty"),
        (b"", "empty"),
        (b"[" * 100 + b"]" * 100, "line 1: the JSON body nests 100 deep"),
    ],
)
def test_an_error_names_its_line(body, says):
    with pytest.raises(InvalidInput, match=says):
        loads(body)


def test_lines_are_bounded():
    with pytest.raises(TooLarge):
        loads(b"\n" * (MAX_LINES + 1))


def test_values_are_written_a_line_each():
    assert dumps([[1, 2], np.float32(0.1), np.array([True])]) == b"[1,2]\n0.1\n[true]\n"
