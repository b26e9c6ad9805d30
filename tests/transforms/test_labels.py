"""labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.transforms.chains import answered, chain, signature, spec

from inferd.core.errors import ConfigError, ModelFailed
from inferd.core.tensor import BYTES

IN = spec("x", "float32", -1, 4)
LOGITS = signature(IN, spec("y", "float32", -1, 3))
BINARY = signature(IN, spec("y", "float32", -1, 1))
SKLEARN = signature(IN, [spec("label", "int64", -1), spec("probabilities", "float32", -1, 3)])
Y = np.array([[1, 9, 3], [2, 1, 0]], np.float32)
ABC = {"labels": ["a", "b", "c"]}


def test_one_label_for_the_best_class() -> None:
    chained = chain(LOGITS, after=["argmax", ABC])

    out = answered(chained, y=Y)

    (seen,) = chained.external.outputs
    assert (seen.name, seen.dtype, seen.shape, seen.content) == ("label", BYTES, (-1,), "text")
    assert out["label"].tolist() == [b"b", b"a"]


def test_labels_and_scores_of_the_best(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("Katze\nHund\nMäuse\n", "utf-8")
    chained = chain(
        LOGITS, after=["softmax", {"top_k": 2}, {"labels": "labels.txt"}, {"round": 2}],
        directory=tmp_path,
    )  # fmt: skip

    out = answered(chained, y=Y)

    assert list(out) == ["label", "score"]
    assert [[b.decode() for b in row] for row in out["label"]] == [
        ["Hund", "Mäuse"],
        ["Katze", "Hund"],
    ]
    assert out["score"].tolist() == np.array([[1.0, 0.0], [0.67, 0.24]], "f").tolist()


def test_threshold_after_labels_cuts_both() -> None:
    chained = chain(LOGITS, after=["softmax", {"top_k": 3}, ABC, {"threshold": 0.1}])

    out = answered(chained, y=Y)

    assert [r["label"].tolist() for r in out] == [[b"b"], [b"a", b"b"]]
    assert [len(r["score"]) for r in out] == [1, 2]


def test_several_labels_of_an_example() -> None:
    chained = chain(LOGITS, after=["sigmoid", {"threshold": 0.8}, ABC])

    out = answered(chained, y=np.array([[-1, 9, 3], [-2, -1, 0]], np.float32))

    assert chained.plan.split
    assert chained.external.outputs[0].shape == (-1, -1)
    assert [r["y"].tolist() for r in out] == [[b"b", b"c"], []]


def test_yes_or_no() -> None:
    chained = chain(
        BINARY, after=["sigmoid", {"threshold": 0.5}, {"labels": {"values": ["ham", "spam"]}}]
    )

    out = answered(chained, y=np.array([[-1], [1]], np.float32))

    assert out["y"].tolist() == [[b"ham"], [b"spam"]]


def test_class_numbers_of_the_model_itself() -> None:
    out = answered(
        chain(SKLEARN, after=[ABC]), label=np.array([2, 0]), probabilities=np.zeros((2, 3), "f")
    )

    assert out["label"].tolist() == [b"c", b"a"]
    assert out["probabilities"].dtype == np.float32


def test_classes_found_by_a_step_come_before_the_models_own() -> None:
    chained = chain(SKLEARN, after=[{"top_k": 1}, ABC])

    assert [s.name for s in chained.external.outputs] == [
        "label", "probabilities_label", "probabilities_score",
    ]  # fmt: skip
    assert chained.external.outputs[0].dtype is not BYTES


def test_a_class_without_a_label_is_the_models_failure() -> None:
    with pytest.raises(ModelFailed, match="class 3 has no label; there are 3 labels"):
        answered(chain(SKLEARN, after=[ABC]), label=np.array([3]), probabilities=np.zeros((1, 3)))


@pytest.mark.parametrize(
    ("after", "said"),
    [
        pytest.param([ABC], "needs class numbers", id="scores"),
        pytest.param(["argmax", {"labels": ["a"]}], "1 labels, but the model has 3", id="few"),
        pytest.param(["argmax", {"labels": list("abcd")}], "4 labels, but", id="many"),
        pytest.param(["argmax", {"labels": []}], "not empty", id="empty"),
        pytest.param(["argmax", {"labels": [True, False, None]}], "in quotes", id="yaml-no"),
        pytest.param(["argmax", "labels"], "give file or values", id="nothing"),
        pytest.param(["argmax", {"labels": "no.txt"}], "no file 'no.txt'", id="no-file"),
        pytest.param(
            [{"threshold": 1}, {"labels": ["a", "b", "c", "d"]}], "one for each", id="bools"
        ),
        pytest.param(
            ["argmax", {"labels": {"values": ["a"], "input": "q"}}], "no tensor 'q'", id="input"
        ),
    ],
)
def test_what_cannot_be(after: list[object], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        chain(LOGITS, after=after, directory=tmp_path)
