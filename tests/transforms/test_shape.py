"""reshape and layout."""

from __future__ import annotations

import numpy as np
import pytest
from tests.transforms.chains import chain, one_input, signature, spec

from inferd.core.errors import ConfigError, InvalidInput

OUT = spec("y", "float32", -1, 1)
FLAT = signature(spec("x", "float32", -1, 64), OUT)
CHW = signature(spec("x", "float32", -1, 3, -1, -1), OUT)


def test_reshape_from_a_declared_shape() -> None:
    chained = chain(FLAT, [{"reshape": {"shape": [-1, 64], "from": [-1, 8, 8]}}])
    x = np.arange(128, dtype=np.float32).reshape(2, 8, 8)

    assert chained.external.inputs[0].shape == (-1, 8, 8)
    assert one_input(chained, x).tolist() == x.reshape(2, 64).tolist()


def test_reshape_of_an_empty_batch() -> None:
    chained = chain(FLAT, [{"reshape": {"shape": [-1, -1], "from": [-1, 8, -1]}}])

    assert one_input(chained, np.zeros((0, 8, 8), np.float32)).shape == (0, 64)


def test_reshape_checks_what_only_a_run_can_tell() -> None:
    chained = chain(FLAT, [{"reshape": {"shape": [-1, 64], "from": [-1, 8, -1]}}])

    assert one_input(chained, np.zeros((2, 8, 8), np.float32)).shape == (2, 64)
    with pytest.raises(InvalidInput, match="72 elements per example"):
        one_input(chained, np.zeros((2, 8, 9), np.float32))


@pytest.mark.parametrize(
    ("params", "said"),
    [
        pytest.param([-1, 64], "shape clients send as 'x' is not told", id="no-from"),
        pytest.param([64], "has no batch axis", id="no-batch"),
        pytest.param([-1, -1, -1], "only one size", id="two-free"),
        pytest.param({"shape": [-1, 64], "from": [-1, 8, 9]}, "72 elements", id="count"),
        pytest.param({"shape": [-1, 8, 8], "from": [-1, 64]}, "takes FP32", id="wrong-rank"),
        pytest.param({"shape": [-1, 0]}, "positive", id="zero"),
        pytest.param(7, "list of sizes", id="number"),
    ],
)
def test_reshape_that_cannot_be(params: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        chain(FLAT, [{"reshape": params}])


def test_layout_turns_axes() -> None:
    chained = chain(CHW, [{"layout": "CHW"}])
    x = np.random.default_rng(0).random((2, 4, 5, 3)).astype(np.float32)

    assert chained.external.inputs[0].shape == (-1, -1, -1, 3)
    assert chained.plan.key_axes == (("x", 1), ("x", 2))
    np.testing.assert_array_equal(one_input(chained, x), x.transpose(0, 3, 1, 2))


def test_layout_accepts_the_batch_letter_and_its_own_from() -> None:
    chained = chain(CHW, [{"layout": {"to": "NCHW", "from": "NWHC"}}])
    x = np.random.default_rng(0).random((1, 4, 5, 3)).astype(np.float32)

    np.testing.assert_array_equal(one_input(chained, x), x.transpose(0, 3, 2, 1))


def test_layout_drops_and_adds_a_single_channel() -> None:
    grey = signature(spec("x", "float32", -1, 8, 8), OUT)
    dropped = chain(grey, [{"layout": "HW"}])
    added = chain(
        signature(spec("x", "float32", -1, 1, 8, 8), OUT), [{"layout": {"to": "CHW", "from": "HW"}}]
    )

    assert dropped.external.inputs[0].shape == (-1, 8, 8, 1)
    assert one_input(dropped, np.zeros((2, 8, 8, 1), np.float32)).shape == (2, 8, 8)
    assert added.external.inputs[0].shape == (-1, 8, 8)
    assert one_input(added, np.zeros((2, 8, 8), np.float32)).shape == (2, 1, 8, 8)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        pytest.param("CHH", "must be letters", id="twice"),
        pytest.param("C,H", "must be letters", id="comma"),
        pytest.param("HC", "only C may come or go", id="lost-axis"),
        pytest.param({"to": "XY", "from": "YX"}, "has 2 axes", id="rank"),
    ],
)
def test_layout_that_cannot_be(params: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        chain(CHW, [{"layout": params}])


def test_unbatched_models_have_no_batch_axis_in_their_steps() -> None:
    whole = signature(spec("x", "float32", 8), spec("y", "float32", 1), batched=False)

    chained = chain(whole, [{"reshape": {"shape": [8], "from": [2, 4]}}])

    assert chained.external.inputs[0].shape == (2, 4)
    assert chained.plan.max_batch == 1
    assert one_input(chained, np.zeros((2, 4), np.float32)).shape == (8,)
