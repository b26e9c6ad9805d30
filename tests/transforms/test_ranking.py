"""top_k, sort and threshold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.transforms.chains import answered, chain, signature, spec

from inferd.core.errors import ConfigError, ModelFailed
from inferd.core.tensor import BOOL, FP32, INT64
from inferd.transforms.ranking import ranked

IN = spec("x", "float32", -1, 4)
LOGITS = signature(IN, spec("y", "float32", -1, 4))
Y = np.array([[0.1, 0.4, 0.2, 0.3], [0.9, 0.0, 0.1, 0.0]], np.float32)


def test_top_k_gives_classes_and_scores_best_first() -> None:
    chained = chain(LOGITS, after=[{"top_k": 2}])

    out = answered(chained, y=Y)

    assert [(s.name, s.dtype, s.shape) for s in chained.external.outputs] == [
        ("index", INT64, (-1, 2)), ("score", FP32, (-1, 2)),
    ]  # fmt: skip
    assert list(out) == ["index", "score"]
    assert out["index"].tolist() == [[1, 3], [0, 2]]
    assert out["score"].tolist() == Y[[[0], [1]], [[1, 3], [0, 2]]].tolist()


def test_sort_gives_all_and_turns_what_is_ranked() -> None:
    falling = answered(chain(LOGITS, after=["sort"]), y=Y)
    rising = answered(chain(LOGITS, after=[{"top_k": 3}, {"sort": "ascending"}]), y=Y)

    assert falling["index"].tolist() == [[1, 3, 2, 0], [0, 2, 1, 3]]
    assert rising["index"].tolist() == [[2, 3, 1], [1, 2, 0]]


def test_top_k_of_what_is_sorted() -> None:
    chained = chain(LOGITS, after=["sort", {"top_k": 1}])

    assert chained.external.outputs[0].shape == (-1, 1)
    assert answered(chained, y=Y)["index"].tolist() == [[1], [0]]
    with pytest.raises(ConfigError, match="more than the 2 ranked classes"):
        chain(LOGITS, after=[{"top_k": 2}, {"top_k": 3}])


def test_threshold_leaves_classes_out_row_by_row() -> None:
    chained = chain(LOGITS, after=[{"top_k": 3}, {"threshold": 0.3}])

    out = answered(chained, y=Y)

    assert chained.plan.split
    assert [s.shape for s in chained.external.outputs] == [(-1, -1), (-1, -1)]
    assert [r["index"].tolist() for r in out] == [[1, 3], [0]]
    assert [r["score"].tolist() for r in out] == [Y[0, [1, 3]].tolist(), Y[1, [0]].tolist()]


def test_threshold_of_plain_scores_is_true_or_false() -> None:
    chained = chain(LOGITS, after=[{"threshold": 0.3}])

    out = answered(chained, y=Y)

    assert chained.external.outputs[0].dtype is BOOL
    assert not chained.plan.split
    assert out["y"].tolist() == [[False, True, False, True], [True, False, False, False]]


def test_names_that_are_taken_get_the_tensors_name_before() -> None:
    sig = signature(IN, [spec("label", "int64", -1), spec("probabilities", "float32", -1, 4)])

    chained = chain(sig, after=[{"top_k": 2}])

    assert [s.name for s in chained.external.outputs] == [
        "label", "probabilities_index", "probabilities_score",
    ]  # fmt: skip


def test_output_names_the_pair() -> None:
    chained = chain(LOGITS, after=[{"top_k": {"k": 1, "output": "best"}}])

    assert list(answered(chained, y=Y)) == ["best_index", "best_score"]


def test_classes_along_another_axis() -> None:
    chained = chain(
        signature(IN, spec("y", "float32", -1, 3, 2)), after=[{"top_k": {"k": 1, "axis": 1}}]
    )

    out = answered(chained, y=np.array([[[0, 9], [5, 0], [1, 1]]], np.float32))

    assert out["index"].tolist() == [[[1, 0]]]


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.int64, np.uint8]),
        st.tuples(st.integers(1, 4), st.integers(1, 9)),
    ),
    st.data(),
)
def test_ranked_is_a_stable_sort(x: np.ndarray, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, x.shape[1]))

    order = ranked(x, k, 1)

    for row, found in zip(x.tolist(), order.tolist(), strict=True):
        key = [(row[i] != row[i], -row[i] if row[i] == row[i] else 0, i) for i in range(len(row))]
        assert found == sorted(range(len(row)), key=lambda i: key[i])[:k]


def test_very_many_classes() -> None:
    x = np.random.default_rng(0).random((3, 5000)).astype(np.float32)

    np.testing.assert_array_equal(ranked(x, 5, 1), np.argsort(-x, axis=1)[:, :5])
    np.testing.assert_array_equal(ranked(x, 1, 1), x.argmax(1)[:, None])


@pytest.mark.parametrize("descending", [True, False], ids=["best", "worst"])
def test_the_first_alone_is_the_first_of_all_even_beside_nan(descending: bool) -> None:
    x = np.array([[np.nan, 2, 3, 3], [4, 1, 1, np.nan], [np.nan] * 4], np.float32)

    alone, every = (ranked(x, k, 1, descending=descending) for k in (1, 4))

    assert alone.tolist() == every[:, :1].tolist()


def test_a_model_that_gives_fewer_classes_than_declared() -> None:
    free = signature(IN, spec("y", "float32", -1, -1))

    with pytest.raises(ModelFailed, match="top_k: 'y' has 4 classes, fewer than 9"):
        answered(chain(free, after=[{"top_k": 9}]), y=Y)


@pytest.mark.parametrize(
    ("after", "said"),
    [
        pytest.param([{"top_k": 5}], "5 is more than the 4 classes of 'y'", id="too-many"),
        pytest.param(["top_k"], "k: must be given", id="no-k"),
        pytest.param([{"top_k": 0}], "at least 1", id="zero"),
        pytest.param([{"sort": "up"}], "unknown value 'up'", id="order"),
        pytest.param([{"threshold": "high"}], "must be a number", id="text"),
        pytest.param([{"top_k": {"n": 3}}], "unknown parameter 'n'", id="parameter"),
        pytest.param(["argmax", {"top_k": 1}], "holds class numbers", id="classes"),
        pytest.param([{"threshold": 0.1}, {"sort": "descending"}], "BOOL, not scores", id="bools"),
    ],
)
def test_what_cannot_be(after: list[object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        chain(LOGITS, after=after)
