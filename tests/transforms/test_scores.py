"""softmax, sigmoid, argmax and round."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.transforms.chains import answered, chain, signature, spec

from inferd.core.errors import ConfigError
from inferd.core.tensor import FP16, FP32, INT64

IN = spec("x", "float32", -1, 4)
LOGITS = signature(IN, spec("y", "float32", -1, 3))
SEGMENTS = signature(IN, spec("y", "float32", -1, 3, 4, 4))
PLAIN = signature(IN, spec("y", "float32", -1))
COUNTS = signature(IN, spec("y", "int64", -1, 3))


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 5), st.just(3)),
        elements=st.floats(-65536, 65536, width=32),
    )
)
def test_rows_of_softmax_sum_to_one(y: np.ndarray) -> None:
    out = answered(chain(LOGITS, after=["softmax"]), y=y)["y"]

    assert out.dtype == np.float32
    assert (out >= 0).all()
    np.testing.assert_allclose(out.sum(axis=1), 1, rtol=1e-5)


def test_softmax_passes_on_what_is_no_number() -> None:
    y = np.array([[np.nan, 0, 0], [np.inf, 0, 0], [-np.inf, 0, 0]], np.float32)

    out = answered(chain(LOGITS, after=["softmax"]), y=y)["y"]

    assert np.isnan(out[0]).all()
    assert np.isnan(out[1, 0])
    assert out[2].tolist() == [0, 0.5, 0.5]


def test_softmax_along_another_axis() -> None:
    out = answered(chain(SEGMENTS, after=[{"softmax": 1}]), y=np.ones((2, 3, 4, 4), np.float32))

    np.testing.assert_allclose(out["y"], 1 / 3, rtol=1e-6)


def test_softmax_keeps_half_precision_and_makes_floats_of_counts() -> None:
    half = chain(signature(IN, spec("y", "float16", -1, 3)), after=["softmax"])
    counts = chain(COUNTS, after=["softmax"])

    assert half.external.outputs[0].dtype is FP16
    assert answered(half, y=np.zeros((1, 3), np.float16))["y"].dtype == np.float16
    assert counts.external.outputs[0].dtype is FP32
    assert answered(counts, y=np.zeros((1, 3), np.int64))["y"].dtype == np.float32


def test_sigmoid_never_overflows() -> None:
    y = np.array([[-1000, 0, 1000]], np.float32)

    assert answered(chain(LOGITS, after=["sigmoid"]), y=y)["y"].tolist() == [[0, 0.5, 1]]


def test_argmax_gives_the_first_of_equals() -> None:
    chained = chain(LOGITS, after=["argmax"])

    out = answered(chained, y=np.array([[1, 3, 3], [2, 1, 0]], np.float32))

    (seen,) = chained.external.outputs
    assert (seen.name, seen.dtype, seen.shape) == ("index", INT64, (-1,))
    assert out["index"].tolist() == [1, 0]


def test_argmax_of_segments() -> None:
    chained = chain(SEGMENTS, after=[{"argmax": {"axis": 1, "output": "classes"}}])

    out = answered(chained, y=np.eye(3, dtype=np.float32)[:, :, None, None] * np.ones((4, 4), "f"))

    assert chained.external.outputs[0].shape == (-1, 4, 4)
    assert out["classes"][:, 0, 0].tolist() == [0, 1, 2]


def test_round_gives_the_nearest_float_of_the_decimal() -> None:
    out = answered(chain(LOGITS, after=[{"round": 2}]), y=np.array([[0.126, 2.675, 1e30]], "f"))

    assert out["y"].tolist() == np.array([[0.13, 2.67, 1e30]], "f").tolist()


def test_round_of_whole_numbers() -> None:
    assert chain(COUNTS, after=["round"]).identity
    tens = chain(COUNTS, after=[{"round": -1}])

    assert answered(tens, y=np.array([[14, 16, -26]]))["y"].tolist() == [[10, 20, -30]]


def test_a_step_works_on_all_outputs_that_fit() -> None:
    both = signature(IN, [spec("y", "float32", -1, 3), spec("label", "int64", -1)])

    out = answered(chain(both, after=["softmax"]), y=np.zeros((1, 3), "f"), label=np.array([1]))

    np.testing.assert_allclose(out["y"], 1 / 3, rtol=1e-6)
    assert out["label"].tolist() == [1]


@pytest.mark.parametrize(
    ("sig", "after", "said"),
    [
        pytest.param(PLAIN, ["softmax"], "needs classes along axis -1", id="softmax-no-axis"),
        pytest.param(PLAIN, ["argmax"], "needs classes along axis -1", id="argmax-no-axis"),
        pytest.param(LOGITS, [{"argmax": 2}], "needs classes along axis 2", id="no-such-axis"),
        pytest.param(LOGITS, [{"softmax": 0}], "axis 0 is the batch", id="batch"),
        pytest.param(LOGITS, [{"softmax": {"input": "z"}}], "no tensor 'z'", id="no-such-output"),
        pytest.param(LOGITS, [{"round": 0.5}], "whole number", id="half-a-decimal"),
        pytest.param(LOGITS, [{"sigmoid": 3}], "takes no plain value", id="no-value"),
    ],
)
def test_what_cannot_be(sig: object, after: list[object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        chain(sig, after=after)  # type: ignore[arg-type]
