"""Drafts: lifting a signature and lowering it again."""

from __future__ import annotations

import pytest
from tests.transforms.chains import signature, spec

from inferd.core.tensor import INT64
from inferd.transforms.draft import Axis, Draft, lift, lower, swap, trace


@pytest.mark.parametrize("batched", [True, False], ids=["batched", "unbatched"])
def test_lowering_undoes_lifting(batched: bool) -> None:
    sig = signature([spec("x", "float32", -1, "s", 3), spec("n", "int64", -1)], (), batched=batched)

    assert lower(sig, lift(sig, sig.inputs)) == sig.inputs


def test_an_unbatched_tensor_gets_a_batch_axis_of_its_own() -> None:
    sig = signature([spec("x", "float32", 3)], (), batched=False)

    assert lift(sig, sig.inputs)["x"].shape == (-1, 3)


def test_free_axes_are_traced_to_the_client_but_for_the_batch() -> None:
    sig = signature([spec("x", "float32", -1, -1, 3)], ())

    axes = trace(lift(sig, sig.inputs))["x"].known

    assert [a.origin for a in axes] == [None, ("x", 1), None]


def test_swap_keeps_the_order() -> None:
    flow = {n: Draft(n, INT64, (Axis(),)) for n in "abcd"}

    assert list(swap(flow, ("b", "d"), {"z": flow["b"]})) == ["a", "z", "c"]
    assert list(swap(flow, "c", {"c": flow["c"]})) == ["a", "b", "c", "d"]


def test_unknown_axes_are_a_bug_where_they_must_be_known() -> None:
    with pytest.raises(AssertionError, match="This is a bug"):
        Draft("x", INT64, None).shape
