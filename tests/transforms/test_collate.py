"""Collation: no row is lost, moved or changed, whatever the lengths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.transforms.chains import TAGGER, chain, served, signature, spec

from inferd.core.errors import InvalidInput
from inferd.transforms.collate import Collator

LENGTHS = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 9)), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(LENGTHS, st.integers(1, 5), st.sampled_from([None, 12]))
def test_padding_then_cutting_gives_every_row_back(
    shapes: list[tuple[int, int]], multiple: int, to: int | None
) -> None:
    sig = signature(spec("x", "float32", -1, "s", 2), spec("y", "float32", -1, "s", 2))
    params = {"axis": 1, "to": to} if to else {"axis": 1, "multiple_of": multiple}
    chained = chain(sig, [{"pad": params}])
    blocks, at = [], 1.0
    for rows, length in shapes:
        size = rows * length * 2
        values = np.arange(at, at + size, dtype=np.float32)
        blocks.append({"x": values.reshape(rows, length, 2)})
        at += size

    collated = chained.concatenate(blocks)
    answer = chained.after({"y": chained.before(collated.inputs)["x"]}, collated)

    rows_in = [row for block in blocks for row in block["x"]]
    rows_out = [r["y"] for r in answer] if isinstance(answer, list) else list(answer["y"])
    assert collated.rows == len(rows_in)
    assert 0 < collated.fill <= 1
    assert [r.tolist() for r in rows_out] == [r.tolist() for r in rows_in]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=7), min_size=1, max_size=6))
def test_a_batch_answers_each_row_as_alone(texts: list[list[int]]) -> None:
    chained = chain(
        TAGGER, [{"pad": {"axis": 1, "multiple_of": 4}}], [{"softmax": {"input": "tags"}}]
    )
    requests = [{"ids": np.array([ids])} for ids in texts]

    together = served(chained, requests)

    for request, row in zip(requests, together, strict=True):
        (alone,) = served(chained, [request])
        assert row.keys() == alone.keys()
        for name, value in alone.items():
            np.testing.assert_allclose(row[name], value, rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=8))
def test_collating_rows_equals_concatenating_blocks(lengths: list[int]) -> None:
    chained = chain(TAGGER, [{"pad": 1}])
    rows = [{"ids": np.arange(n)} for n in lengths]

    by_rows = chained.collate(rows)
    by_blocks = chained.concatenate([{"ids": r["ids"][None]} for r in rows])

    for name, value in by_blocks.inputs.items():
        np.testing.assert_array_equal(by_rows.inputs[name], value)


def test_steps_before_pad_do_not_touch_the_filling() -> None:
    sig = signature(spec("x", "float32", -1, -1), spec("y", "float32", -1, 1))
    chained = chain(sig, [{"normalize": {"mean": 1, "std": 2}}, {"pad": {"axis": 1, "value": 9}}])

    ragged = chained.concatenate([{"x": np.full((1, 2), 3, "f")}, {"x": np.full((1, 1), 5, "f")}])
    even = chained.concatenate([{"x": np.full((1, 2), 3, "f")}, {"x": np.full((1, 2), 5, "f")}])

    assert chained.before(ragged.inputs)["x"].tolist() == [[1, 1], [2, 9]]
    assert chained.before(even.inputs)["x"].tolist() == [[1, 1], [2, 2]]


def test_one_block_is_not_copied() -> None:
    block = {"x": np.zeros((2, 3), np.float32)}

    assert Collator().concatenate([block]).inputs["x"] is block["x"]


def test_texts_survive_with_their_trailing_zeros() -> None:
    rows = [{"x": np.array(b"a\0", object)}, {"x": np.array(b"", object)}]

    assert Collator().collate(rows).inputs["x"].tolist() == [b"a\0", b""]


@pytest.mark.parametrize("padded", [True, False], ids=["padded", "plain"])
def test_shapes_that_cannot_meet(padded: bool) -> None:
    sig = signature(spec("x", "float32", -1, -1, -1), spec("y", "float32", -1, 1))
    chained = chain(sig, [{"pad": 1}] if padded else [])

    with pytest.raises(InvalidInput, match="unequal shapes"):
        chained.concatenate([{"x": np.ones((1, 2, 3), "f")}, {"x": np.ones((1, 3, 4), "f")}])


def test_rows_with_different_inputs_cannot_meet() -> None:
    with pytest.raises(InvalidInput):
        chain(TAGGER, [{"pad": 1}]).concatenate(
            [{"ids": np.array([[1]])}, {"other": np.array([[1]])}]
        )


def test_a_row_of_no_length() -> None:
    chained = chain(TAGGER, [{"pad": 1}])

    inputs = chained.concatenate(
        [{"ids": np.zeros((1, 0), np.int64)}, {"ids": np.array([[4, 5]])}]
    ).inputs

    assert inputs["mask"].tolist() == [[0, 0], [1, 1]]
