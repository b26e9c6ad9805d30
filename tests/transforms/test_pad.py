"""pad as declared: what it frees, hides and refuses."""

from __future__ import annotations

import numpy as np
import pytest
from tests.transforms.chains import TAGGER, chain, signature, spec

from inferd.core.errors import ConfigError, InvalidInput

FREE = signature(spec("x", "float32", -1, -1, 2), spec("y", "float32", -1, 1))
FIXED = signature(spec("x", "float32", -1, 6), spec("y", "float32", -1, 1))
BERT = signature(
    [
        spec("input_ids", "int64", -1, "s"),
        spec("attention_mask", "int64", -1, "s"),
        spec("token_type_ids", "int64", -1, "s"),
    ],
    spec("y", "float32", -1, 2),
)


def test_the_mask_is_hidden_and_made() -> None:
    chained = chain(TAGGER, [{"pad": 1}])

    collated = chained.concatenate(
        [{"ids": np.array([[5, 6]])}, {"ids": np.array([[7, 8, 9], [1, 2, 3]])}]
    )

    assert [s.name for s in chained.external.inputs] == ["ids"]
    assert chained.plan.length == ("ids", 1)
    assert chained.plan.key_axes == ()
    assert collated.inputs["ids"].tolist() == [[5, 6, 0], [7, 8, 9], [1, 2, 3]]
    assert collated.inputs["mask"].tolist() == [[1, 1, 0], [1, 1, 1], [1, 1, 1]]
    assert collated.fill == pytest.approx(8 / 9)


@pytest.mark.parametrize(
    ("params", "longest", "padded"),
    [
        pytest.param({}, 5, 5, id="longest"),
        pytest.param({"multiple_of": 4}, 5, 8, id="multiple"),
        pytest.param({"multiple_of": 4}, 8, 8, id="multiple-already"),
        pytest.param({"to": 10}, 5, 10, id="to"),
        pytest.param({"to": 10, "multiple_of": 5}, 10, 10, id="to-full"),
    ],
)
def test_how_far_is_filled(params: dict[str, int], longest: int, padded: int) -> None:
    chained = chain(FREE, [{"pad": {"axis": 1, "value": -1, **params}}])

    x = chained.concatenate([{"x": np.ones((1, longest, 2), np.float32)}]).inputs["x"]

    assert x.shape == (1, padded, 2)
    assert (x[:, longest:] == -1).all()
    assert (x[:, :longest] == 1).all()


def test_longer_than_the_model_takes() -> None:
    chained = chain(FIXED, [{"pad": {"axis": 1, "to": 6}}])

    assert chained.external.inputs[0].shape == (-1, -1)
    with pytest.raises(InvalidInput, match="is 7 long; the model takes 6 at most"):
        chained.concatenate([{"x": np.ones((1, 7), np.float32)}])


@pytest.mark.parametrize(
    "params", [{}, {"multiple_of": 4}, {"mask": False}], ids=["longest", "multiple", "no-mask"]
)
def test_a_batch_of_empty_sequences_is_refused(params: dict[str, int]) -> None:
    chained = chain(TAGGER if "mask" not in params else FREE, [{"pad": {"axis": 1, **params}}])
    name = chained.external.inputs[0].name
    empty = {name: np.ones((1, 0) if name == "ids" else (1, 0, 2), np.int64)}

    with pytest.raises(InvalidInput, match=f"input '{name}' is empty along axis 1"):
        chained.concatenate([empty, empty])


def test_an_empty_sequence_is_filled_to_the_length_named() -> None:
    chained = chain(FIXED, [{"pad": {"axis": 1, "to": 6}}])

    chained.admit({"x": np.ones((1, 0), np.float32)})
    assert chained.concatenate([{"x": np.ones((1, 0), np.float32)}]).inputs["x"].shape == (1, 6)


@pytest.mark.parametrize(
    ("params", "length", "said"),
    [({}, 0, "is empty"), ({"to": 6}, 7, "is 7 long")],
    ids=["empty", "too-long"],
)
def test_a_request_that_cannot_be_padded_is_refused_by_itself(
    params: dict[str, int], length: int, said: str
) -> None:
    chained = chain(FIXED if params else FREE, [{"pad": {"axis": 1, **params}}])
    shape = (1, length) if params else (1, length, 2)

    with pytest.raises(InvalidInput, match=said):
        chained.admit({"x": np.ones(shape, np.float32)})


def test_before_other_steps_only_a_batch_can_tell() -> None:
    chained = chain(FREE, [{"normalize": {"mean": 0, "std": 1}}, {"pad": 1}])
    empty = {"x": np.ones((1, 0, 2), np.float32)}

    chained.admit(empty)
    with pytest.raises(InvalidInput, match="is empty"):
        chained.concatenate([empty])


def test_several_inputs_and_their_own_values() -> None:
    chained = chain(BERT, [{"pad": {"axis": 1, "value": {"input_ids": 9}}}])

    inputs = chained.concatenate(
        [
            {"input_ids": np.array([[1]]), "token_type_ids": np.array([[1]])},
            {"input_ids": np.array([[2, 3]]), "token_type_ids": np.array([[1, 1]])},
        ]
    ).inputs

    assert inputs["input_ids"].tolist() == [[1, 9], [2, 3]]
    assert inputs["token_type_ids"].tolist() == [[1, 0], [1, 1]]
    assert inputs["attention_mask"].tolist() == [[1, 0], [1, 1]]


def test_inputs_padded_together_must_agree_in_length() -> None:
    chained = chain(BERT, [{"pad": 1}])

    with pytest.raises(InvalidInput, match="input_ids is 1, token_type_ids is 2"):
        chained.concatenate([{"input_ids": np.array([[1]]), "token_type_ids": np.array([[1, 1]])}])


def test_axes_of_different_symbols_have_their_own_lengths() -> None:
    sig = signature(
        [spec("src", "int64", -1, "s"), spec("tgt", "int64", -1, "t")],
        spec("y", "float32", -1, "t", 2),
    )
    chained = chain(sig, [{"pad": 1}])

    collated = chained.concatenate(
        [
            {"src": np.ones((1, 2), np.int64), "tgt": np.ones((1, 5), np.int64)},
            {"src": np.ones((1, 4), np.int64), "tgt": np.ones((1, 1), np.int64)},
        ]
    )
    rows = chained.after({"y": np.zeros((2, 5, 2), np.float32)}, collated)

    assert collated.inputs["src"].shape == (2, 4)
    assert collated.inputs["tgt"].shape == (2, 5)
    assert isinstance(rows, list)
    assert [r["y"].shape for r in rows] == [(5, 2), (1, 2)]


def test_two_axes_of_one_input() -> None:
    sig = signature(spec("x", "float32", -1, -1, -1), spec("y", "float32", -1, 1))
    chained = chain(sig, [{"pad": 1}, {"pad": {"axis": 2, "multiple_of": 2}}])

    collated = chained.concatenate(
        [{"x": np.ones((1, 2, 3), np.float32)}, {"x": np.ones((1, 1, 1), np.float32)}]
    )

    assert collated.inputs["x"].shape == (2, 2, 4)
    assert collated.inputs["x"].sum() == 7


def test_a_lengths_input_is_made() -> None:
    sig = signature(
        [spec("x", "float32", -1, -1), spec("n", "int32", -1)], spec("y", "float32", -1, 1)
    )
    chained = chain(sig, [{"pad": {"axis": 1, "lengths": "n"}}])

    inputs = chained.concatenate([{"x": np.ones((2, 3), "f")}, {"x": np.ones((1, 1), "f")}]).inputs

    assert [s.name for s in chained.external.inputs] == ["x"]
    assert inputs["n"].dtype == np.int32
    assert inputs["n"].tolist() == [3, 3, 1]


def test_a_mask_that_marks_padding() -> None:
    sig = signature(
        [spec("x", "float32", -1, -1), spec("key_padding_mask", "bool", -1, -1)],
        spec("y", "float32", -1, 1),
    )
    chained = chain(
        sig, [{"pad": {"axis": 1, "input": "x", "mask": "key_padding_mask", "invert": True}}]
    )

    inputs = chained.concatenate([{"x": np.ones((1, 3), "f")}, {"x": np.ones((1, 1), "f")}]).inputs

    assert inputs["key_padding_mask"].tolist() == [[False, False, False], [False, True, True]]


def test_a_mask_may_be_left_to_clients() -> None:
    chained = chain(TAGGER, [{"pad": {"axis": 1, "mask": False, "value": 7}}])

    inputs = chained.concatenate(
        [
            {"ids": np.array([[1]]), "mask": np.array([[1]])},
            {"ids": np.array([[1, 2]]), "mask": np.array([[1, 0]])},
        ]
    ).inputs

    assert [s.name for s in chained.external.inputs] == ["ids", "mask"]
    assert inputs["ids"].tolist() == [[1, 7], [1, 2]]
    assert inputs["mask"].tolist() == [[1, 0], [1, 0]]


@pytest.mark.parametrize(
    ("sig", "params", "said"),
    [
        pytest.param(FIXED, 1, "no free axis 1", id="fixed"),
        pytest.param(FIXED, {"to": 8}, "no free axis 1", id="fixed-otherwise"),
        pytest.param(FREE, 2, "no free axis 2", id="fixed-axis"),
        pytest.param(FREE, 0, "axis 0 is the batch", id="batch"),
        pytest.param(FREE, 3, "no free axis 3", id="no-axis"),
        pytest.param(FREE, {"to": 10, "multiple_of": 4}, "not a multiple", id="contradiction"),
        pytest.param(FREE, {"to": 0}, "at least 1", id="zero"),
        pytest.param(FREE, {"input": "z"}, "no input 'z'", id="no-input"),
        pytest.param(FREE, {"mask": "z"}, "no input 'z'", id="no-mask"),
        pytest.param(FREE, {"lengths": "z"}, "no input 'z'", id="no-lengths"),
        pytest.param(FREE, {"unpad": ["z"]}, "no output 'z'", id="no-output"),
        pytest.param(FREE, {"unpad": ["y"]}, "no free axis 1 to cut", id="fixed-output"),
        pytest.param(FREE, {"output": "z"}, "keeps the name", id="renamed"),
        pytest.param(BERT, {"value": 1e30}, "value:", id="value"),
        pytest.param(FREE, {"value": "a"}, "value: must be a number", id="text-value"),
    ],
)
def test_what_cannot_be(sig: object, params: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        chain(sig, [{"pad": params}])  # type: ignore[arg-type]


def test_padding_twice() -> None:
    with pytest.raises(ConfigError, match="'x' is padded twice"):
        chain(FREE, [{"pad": {"axis": 1, "to": 4}}, {"pad": {"axis": 1, "to": 4}}])


def test_unpad_of_a_model_without_symbols() -> None:
    sig = signature(
        [spec("x", "float32", -1, -1)], [spec("y", "float32", -1, -1), spec("z", "float32", -1, -1)]
    )
    chained = chain(sig, [{"pad": {"axis": 1, "unpad": ["y"]}}])
    collated = chained.concatenate([{"x": np.ones((1, 3), "f")}, {"x": np.ones((1, 1), "f")}])

    rows = chained.after({"y": np.ones((2, 3), "f"), "z": np.ones((2, 3), "f")}, collated)

    assert isinstance(rows, list)
    assert [r["y"].shape for r in rows] == [(3,), (1,)]
    assert [r["z"].shape for r in rows] == [(3,), (3,)]


def test_unpad_may_be_turned_off() -> None:
    sig = signature(spec("x", "float32", -1, "s"), spec("y", "float32", -1, "s"))
    chained = chain(sig, [{"pad": {"axis": 1, "unpad": False}}])
    collated = chained.concatenate([{"x": np.ones((1, 3), "f")}, {"x": np.ones((1, 1), "f")}])

    answer = chained.after({"y": np.ones((2, 3), "f")}, collated)

    assert isinstance(answer, dict)
    assert answer["y"].shape == (2, 3)
