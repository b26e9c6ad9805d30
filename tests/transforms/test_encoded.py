"""Files as one element of BYTES."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from inferd.core.errors import InvalidInput
from inferd.transforms.encoded import element, plain

FILE = b"RIFF\0\1\2\xff"


@pytest.mark.parametrize(
    "sent",
    [FILE, base64.b64encode(FILE), b"data:audio/wav;base64," + base64.b64encode(FILE)],
    ids=["as-it-is", "base64", "data-url"],
)
def test_a_file_is_taken_out_of_what_carries_it(sent: bytes) -> None:
    assert plain(sent, (b"RIFF",)) == FILE


@pytest.mark.parametrize("sent", [b"hello world!", b"data:,", b"\xff\xfe"])
def test_anything_else_stays_what_it_is_or_becomes_no_file(sent: bytes) -> None:
    assert not plain(sent, (b"RIFF",)).startswith(b"RIFF")


def test_one_element_is_one_file() -> None:
    assert element(np.array([b"a"], object), "recording") == b"a"
    assert element(np.array("ä", object), "recording") == "ä".encode()
    with pytest.raises(InvalidInput, match="one recording per example, not 2"):
        element(np.array([b"a", b"b"], object), "recording")
