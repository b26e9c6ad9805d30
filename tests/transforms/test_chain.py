"""A compiled chain at work: examples, batches, blame."""

from __future__ import annotations

import numpy as np
import pytest
from tests.transforms.chains import TAGGER, answered, chain, one_input, signature, spec

from inferd.core.errors import InvalidInput, ModelFailed
from inferd.core.tensor import uneven
from inferd.transforms.collate import Collated

OUT = spec("y", "float32", -1, 3)
TABLE = signature(spec("x", "float32", -1, 4), OUT)
IMAGES = signature(spec("x", "float32", -1, 4, 4, 3), OUT)
WHOLE = signature(spec("x", "float32", 2, -1), spec("y", "float32", 3), batched=False)


def test_an_unbatched_model_takes_one_whole_example() -> None:
    chained = chain(
        WHOLE, [{"normalize": {"mean": 1, "std": 1}}, {"pad": {"axis": 1, "multiple_of": 4}}],
        ["softmax", {"top_k": 1}],
    )  # fmt: skip

    collated = chained.concatenate([{"x": np.full((2, 3), 5, np.float32)}])
    given = chained.before(collated.inputs)
    out = chained.after({"y": np.array([0, 9, 0], np.float32)}, collated)

    assert given["x"].tolist() == [[4, 4, 4, 0], [4, 4, 4, 0]]
    assert chained.plan.max_batch == 1
    assert not chained.plan.batched
    assert chained.external.inputs[0].shape == (2, -1)
    assert [s.shape for s in chained.external.outputs] == [(1,), (1,)]
    assert isinstance(out, dict)
    assert out["index"].tolist() == [1]
    with pytest.raises(InvalidInput, match="one example at a time"):
        chained.concatenate([{"x": np.ones((2, 3), "f")}] * 2)


def test_rows_of_an_unbatched_model_may_be_cut_too() -> None:
    chained = chain(WHOLE, after=["sort", {"threshold": 2}])
    collated = chained.concatenate([{"x": np.ones((2, 1), np.float32)}])

    out = chained.after({"y": np.array([1, 9, 3], np.float32)}, collated)

    assert isinstance(out, dict)
    assert out["index"].tolist() == [1, 2]


def test_examples_may_be_numpy_scalars() -> None:
    chained = chain(signature(spec("x", "float32", -1), OUT))

    assert chained.collate([{"x": np.float32(1)}, {"x": np.float32(2)}]).inputs["x"].tolist() == [
        1,
        2,
    ]


def test_a_bad_example_says_what_is_taken() -> None:
    chained = chain(IMAGES, [{"resize": 4}])

    with pytest.raises(InvalidInput, match=r"shape \[5, 5\] is no image"):
        chained.prepare({"x": np.zeros((5, 5), np.float32)})
    with pytest.raises(
        InvalidInput, match=r"becomes float32 \[4, 4, 2\] for 'x'; FP32 \[4, 4, 3\]"
    ):
        chained.prepare({"x": np.zeros((4, 4, 2), np.float32)})
    with pytest.raises(InvalidInput):
        chained.prepare({})
    with pytest.raises(InvalidInput):
        chained.prepare({"x": b"abc"})


def test_clients_arrays_are_left_alone() -> None:
    chained = chain(TABLE, [{"impute": 0}, {"normalize": {"mean": 1}}, {"cast": "float32"}])
    x = np.array([[np.nan, 1, 2, 3]], np.float32)
    x.setflags(write=False)

    assert one_input(chained, x).tolist() == [[-1, 0, 1, 2]]


def test_a_models_wrong_answer_is_the_models_failure() -> None:
    chained = chain(TABLE, after=["argmax"])

    with pytest.raises(ModelFailed, match="argmax: 'y'"):
        answered(chained, z=np.zeros((1, 3), np.float32))
    with pytest.raises(ModelFailed):
        answered(chained, y=np.zeros((0, 0), np.float32))


def test_a_model_that_loses_rows_is_found_out() -> None:
    chained = chain(TAGGER, [{"pad": 1}])
    collated = chained.concatenate([{"ids": np.array([[1, 2]])}, {"ids": np.array([[1]])}])

    with pytest.raises(ModelFailed, match="'pooled' as .1, 3. for 2 examples"):
        chained.after(
            {"tags": np.zeros((2, 2, 3), np.float32), "pooled": np.zeros((1, 3), np.float32)},
            collated,
        )


def test_rows_of_one_length_stay_one_array() -> None:
    chained = chain(TAGGER, [{"pad": {"axis": 1, "to": 5}}])
    collated = chained.concatenate([{"ids": np.array([[1, 2]])}, {"ids": np.array([[3, 4]])}])

    out = chained.after(
        {"tags": np.zeros((2, 5, 3), np.float32), "pooled": np.zeros((2, 3), np.float32)}, collated
    )

    assert isinstance(out, dict)
    assert out["tags"].shape == (2, 2, 3)


def test_an_output_that_only_shares_the_symbol_is_left_alone() -> None:
    chained = chain(TAGGER, [{"pad": {"axis": 1, "to": 5}}])
    collated = chained.concatenate([{"ids": np.array([[1, 2]])}, {"ids": np.array([[3]])}])

    out = chained.after(
        {"tags": np.zeros((2, 7, 3), np.float32), "pooled": np.zeros((2, 3), np.float32)}, collated
    )

    assert isinstance(out, list)
    assert [r["tags"].shape for r in out] == [(7, 3), (7, 3)]


def test_outputs_no_one_declared_pass() -> None:
    out = answered(chain(TABLE, after=["softmax"]), more=np.ones(1), y=np.zeros((1, 3), "f"))

    assert list(out) == ["y", "more"]


def test_inputs_reach_the_model_in_its_order() -> None:
    sig = signature([spec("a", "float32", -1), spec("b", "float32", -1)], OUT)
    chained = chain(sig, [{"normalize": {"mean": 1, "input": "a"}}])

    given = chained.before({"b": np.ones(1, np.float32), "a": np.ones(1, np.float32)})

    assert list(given) == ["a", "b"]


def test_collated_says_how_full_it_is() -> None:
    assert Collated({}, 1).fill == 1.0
    assert chain(TABLE).concatenate([{"x": np.ones((2, 4), "f")}]).fill == 1.0


RAGGED = signature(spec("x", "float32", -1, 4), spec("y", "float32", -1, -1), ragged=True)


def test_rows_that_a_model_answers_in_unequal_shapes_come_apart() -> None:
    chained = chain(RAGGED)
    rows = uneven([np.float32([1, 2]), np.float32([3]), np.float32([])])

    out = answered(chained, y=rows)

    assert chained.plan.split
    assert not chained.identity
    assert [row["y"].tolist() for row in out] == [[1, 2], [3], []]
    assert answered(chained, y=np.ones((2, 3), "f"))["y"].shape == (2, 3)


def test_steps_see_such_rows_one_by_one() -> None:
    chained = chain(RAGGED, after=["softmax", {"sort": "descending"}, {"threshold": 0.4}])

    out = answered(chained, y=uneven([np.float32([0, 0]), np.float32([0, 9, 0])]))

    assert [row["index"].tolist() for row in out] == [[0, 1], [1]]


def test_rows_that_are_cut_may_be_apart_already() -> None:
    sig = signature(
        [spec("ids", "int64", -1, "seq")],
        [spec("tags", "float32", -1, "seq"), spec("words", "string", -1, -1)],
        ragged=True,
    )
    chained = chain(sig, [{"pad": {"axis": 1}}])
    collated = chained.concatenate([{"ids": np.ones((1, n), np.int64)} for n in (1, 3)])
    words = uneven([np.array([b"a"], object), np.array([b"b", b"c"], object)])

    out = chained.after({"tags": np.ones((2, 3), "f"), "words": words}, collated)

    assert [row["tags"].tolist() for row in out] == [[1], [1, 1, 1]]
    assert [row["words"].tolist() for row in out] == [[b"a"], [b"b", b"c"]]


def test_a_column_of_too_few_rows_is_the_models_failure() -> None:
    with pytest.raises(ModelFailed, match="for 3 examples"):
        chain(RAGGED).after({"y": uneven([np.ones(1), np.ones(2)])}, Collated({}, 3))


def test_tensors_that_a_class_renamed_pass() -> None:
    assert list(chain(RAGGED).before({"z": np.ones((1, 4), "f")})) == ["z"]
