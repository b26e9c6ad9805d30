"""Reading parameters: plain values, mappings, defaults and errors."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.config.sources import parse_yaml
from inferd.core.step import Step
from inferd.transforms.parameter import INTEGER, POSITIVE, Parameter, StepError, parse_parameters
from inferd.transforms.registry import TRANSFORMS

TABLE = (
    Parameter("k", POSITIVE, "how many", required=True),
    Parameter("axis", INTEGER, "which", -1),
)


def parsed(params: Any) -> dict[str, Any]:
    return parse_parameters(Step("s", params), TABLE, ("k",))


@pytest.mark.parametrize(
    "params", [3, {"k": 3}, parse_yaml("k: 3", "f")], ids=["plain", "dict", "yaml"]
)
def test_forms_of_the_same(params: Any) -> None:
    assert parsed(params) == {"k": 3, "axis": -1, "input": None, "output": None}


@pytest.mark.parametrize(
    ("params", "said"),
    [
        pytest.param(None, "k: must be given", id="missing"),
        pytest.param({"k": None}, "k: must be given", id="null"),
        pytest.param("3", "k: must be a whole number", id="text"),
        pytest.param(False, "k: must be a whole number", id="false"),
        pytest.param(0, "k: must be at least 1", id="zero"),
        pytest.param({"k": 3, "axs": 1}, "unknown parameter 'axs'", id="unknown"),
        pytest.param({"k": 3, 5: 1}, "unknown parameter 5", id="number-as-key"),
        pytest.param({"k": 3, "input": 7}, "input: must be text", id="input"),
    ],
)
def test_what_is_refused(params: Any, said: str) -> None:
    with pytest.raises(StepError, match=said):
        parsed(params)


def test_an_unknown_parameter_names_the_nearest() -> None:
    with pytest.raises(StepError) as caught:
        parsed({"k": 3, "axs": 1})

    assert caught.value.help == "did you mean 'axis'?"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.sampled_from(sorted(TRANSFORMS)), st.data())
def test_no_value_raises_anything_but_a_step_error(name: str, data: st.DataObject) -> None:
    transform = TRANSFORMS[name]
    keys = st.sampled_from([p.name for p in transform.parameters] + ["input", "x"])
    params = data.draw(JSON | st.dictionaries(keys, JSON, max_size=3))
    with suppress(StepError):
        args = parse_parameters(Step(name, params), transform.parameters, transform.short)
        assert {p.name for p in transform.parameters} < set(args)
