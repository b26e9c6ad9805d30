"""Lists of constants find their axis and settle its size."""

from __future__ import annotations

import numpy as np
import pytest
from tests.transforms.chains import chain, one_input, signature, spec

from inferd.core.errors import InvalidInput
from inferd.transforms.constants import constants, values_axis
from inferd.transforms.draft import lift
from inferd.transforms.parameter import StepError

TABLE = signature(spec("x", "float32", -1, 3), spec("y", "float32", -1, 1))


def test_lists_prefer_the_last_axis() -> None:
    draft = lift(TABLE, (spec("x", "float32", -1, 3, 3),))["x"]

    assert values_axis([1, 2, 3], draft, None) == 2
    assert values_axis([1, 2, 3], draft, 1) == 1
    assert values_axis(7, draft, None) is None
    assert constants([1, 2, 3], 1, 3, np.dtype("f")).shape == (1, 3, 1)
    with pytest.raises(StepError):
        values_axis([1, 2], draft, None)


@pytest.mark.parametrize(
    "step", [{"normalize": {"mean": [1, 2, 3]}}, {"impute": [1, 2, 3]}], ids=str
)
def test_a_list_settles_a_free_axis(step: dict[str, object]) -> None:
    free = signature(spec("x", "float32", -1, -1), spec("y", "float32", -1, 1))
    chained = chain(free, [step])

    assert chained.external.inputs[0].shape == (-1, 3)
    assert chained.plan.key_axes == ()


def test_a_size_of_one_is_not_stretched() -> None:
    sig = signature(spec("x", "float32", -1, -1), spec("y", "float32", -1, 1))
    free = {"reshape": {"shape": [-1, -1], "from": [-1, -1, 1]}}
    chained = chain(sig, [free, {"normalize": {"mean": [1, 2, 3]}}])

    with pytest.raises(InvalidInput, match="has 1 values along axis 1, not 3"):
        one_input(chained, np.ones((2, 1, 1), np.float32))
