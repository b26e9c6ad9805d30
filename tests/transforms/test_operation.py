"""Choosing tensors and naming results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.transforms.chains import chain, signature, spec

from inferd.core.errors import ConfigError
from inferd.core.tensor import FP32, INT64
from inferd.transforms.draft import Axis, Draft
from inferd.transforms.operation import Context, derived, pick, spoken
from inferd.transforms.parameter import StepError

FLOW = {"a": Draft("a", FP32, (Axis(),)), "b": Draft("b", INT64, (Axis(),))}
TWO = signature(
    [spec("a", "float32", -1, 2), spec("b", "float32", -1, 2)], spec("y", "float32", -1, 2)
)


def test_the_named_one_the_only_one_or_all_that_fit() -> None:
    assert pick(FLOW, "b", lambda d: d.floating) == ["b"]
    assert pick({"b": FLOW["b"]}, None, lambda d: d.floating) == ["b"]
    assert pick(FLOW, None, lambda d: d.floating) == ["a"]
    with pytest.raises(StepError, match="no tensor here fits"):
        pick(FLOW, None, lambda _: False)
    with pytest.raises(StepError, match="no tensor 'c'"):
        pick(FLOW, "c", lambda _: True)


@pytest.mark.parametrize(
    ("taken", "names", "found"),
    [
        pytest.param([], ("index",), ["index"], id="free"),
        pytest.param(["index"], ("index",), ["y_index"], id="taken"),
        pytest.param(["label"], ("index", "score"), ["y_index", "y_score"], id="family"),
        pytest.param(["label"], ("text",), ["text"], id="other"),
    ],
)
def test_names_of_results(taken: list[str], names: tuple[str, ...], found: list[str]) -> None:
    flow = {n: Draft(n, FP32, (Axis(),)) for n in ["y", *taken]}

    assert derived(flow, "y", names) == found


def test_axes_of_a_declaration() -> None:
    assert Context(Path(), 0).axis(1) == 1
    assert Context(Path(), 1).axis(0) == 1
    assert Context(Path(), 1).axis(-1) == -1
    with pytest.raises(StepError, match="axis 0 is the batch"):
        Context(Path(), 0).axis(0)


def test_an_input_may_have_another_name_outside() -> None:
    chained = chain(TWO, [{"normalize": {"min": 0, "max": 2, "input": "photo", "output": "b"}}])

    inputs = chained.concatenate(
        [{"a": np.ones((1, 2), np.float32), "photo": np.ones((1, 2), np.float32)}]
    ).inputs

    assert [s.name for s in chained.external.inputs] == ["a", "photo"]
    assert chained.before(inputs)["b"].tolist() == [[0.5, 0.5]]
    assert chained.before(inputs)["a"].tolist() == [[1, 1]]


def test_a_rename_alone_is_done_as_well() -> None:
    one = signature(spec("a", "float32", -1, 2), spec("y", "float32", -1, 2))
    chained = chain(one, [{"cast": {"to": "float32", "input": "x", "output": "a"}}])

    assert not chained.identity
    assert list(chained.before({"x": np.ones((1, 2), np.float32)})) == ["a"]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        pytest.param([{"cast": {"to": "float32", "input": "a", "output": "b"}}], [], "there already", id="twice"),
        pytest.param([{"cast": {"to": "float32", "output": "c"}}], [], "no tensor 'c'", id="unknown"),
    ],
)  # fmt: skip
def test_names_that_cannot_be(before: list[object], after: list[object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        chain(TWO, before, after)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        pytest.param(b"pink", "'pink'", id="bytes"),
        pytest.param("pink", "'pink'", id="text"),
        pytest.param(np.str_("pink"), "'pink'", id="numpy-text"),
        pytest.param(b"\xff", "'\ufffd'", id="no-text"),
        pytest.param("x" * 50, repr("x" * 40 + "..."), id="long"),
        pytest.param(np.int64(3), "3", id="integer"),
        pytest.param(np.float32(0.1), "0.1", id="float"),
    ],
)
def test_elements_are_said_without_their_class(value: object, said: str) -> None:
    assert spoken(value) == said
