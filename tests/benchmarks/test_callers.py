"""Calls from Python: what is sent is what the server reads, and what is missing is said."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import callers
from inferd.codecs.oip import OIPCodec
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import FP32

SIGNATURE = Signature(
    (TensorSpec("x", FP32, (-1, 4)),), (TensorSpec("probabilities", FP32, (-1, 3)),)
)


def test_the_body_of_the_bare_connection_is_an_infer_request() -> None:
    asked = callers.asked("T")
    body, size = asked.body(3)

    decoded = OIPCodec(SIGNATURE).decode(body, size)

    assert decoded.inputs is not None
    np.testing.assert_array_equal(decoded.inputs["x"], asked.inputs[3])
    assert decoded.form["binary"] == ["probabilities"]
    assert asked.request(3).endswith(body)


def test_no_two_inputs_have_the_same_answer() -> None:
    images = callers.asked("B").inputs

    assert np.diff(np.sort(images.mean(axis=(1, 2, 3, 4)))).min() > 0.5


def test_a_way_whose_library_is_absent_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(callers.LIBRARIES, "triton", ("no_such_library",))

    assert callers.missing("triton") == "no_such_library is not installed"
    assert callers.missing("inferd") == ""
