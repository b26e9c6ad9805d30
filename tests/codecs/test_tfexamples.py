import json

import numpy as np
import pytest
from tests.codecs.signatures import signature

from inferd.codecs.tfexamples import ClassifyCodec, RegressCodec, scores_of, value_of
from inferd.core.errors import InvalidInput, TooLarge, Unsupported

SCORES = ("scores", "FP32", [-1, 3])
VECTOR = [("x", "FP32", [-1, 3])]
TABLE = [("age", "FP32", [-1]), ("city", "BYTES", [-1, 1]), ("grid", "FP32", [-1, 2, 2])]
NUMBER = signature(VECTOR, [("y", "FP32", [-1, 1])])
CLASSES = signature(VECTOR, [SCORES])


def decode(sig, codec=RegressCodec, **body):
    return codec(sig).decode(json.dumps(body).encode())


def test_features_are_bare_values_or_flat_lists_in_the_shape_of_the_input():
    sig = signature(TABLE, [("y", "FP32", [-1])])
    decoded = decode(
        sig, examples=[{"age": [30], "grid": [1, 2, 3, 4]}, {"age": 31, "grid": [[5, 6], [7, 8]]}],
        context={"city": "Bonn"},
    )  # fmt: skip

    assert decoded.inputs["age"].tolist() == [30, 31]
    assert decoded.inputs["city"].tolist() == [[b"Bonn"], [b"Bonn"]]
    assert decoded.inputs["grid"].tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
    assert decoded.outputs == ("y",)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, '"examples" must be a list'),
        ({"examples": []}, "at least one"),
        ({"examples": [[1, 2, 3]]}, r"examples\[0\] must be an object"),
        ({"examples": [{"y": 1}]}, r"examples\[0\] must have exactly the keys 'x'"),
        ({"examples": [{"x": [1, 2]}]}, r"must have shape \[any, 3\]"),
        ({"examples": [{"x": [1, 2, 3]}], "context": {"x": 1}}, "in the context as well"),
        ({"examples": [{"x": [1, 2, 3]}], "context": []}, '"context" must be an object'),
        ({"examples": [{"x": [1, 2, 3]}], "signature_name": "z"}, "no signature 'z'"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(body, message):
    with pytest.raises(InvalidInput, match=message):
        decode(NUMBER, **body)


@pytest.mark.parametrize(("feature", "message"), [
    ([1, 2, 3], "holds 3 values; the input takes 4"), ([[1, 2]], "must have shape"),
], ids=str)  # fmt: skip
def test_a_flat_list_must_fill_the_shape(feature, message):
    sig = signature([("grid", "FP32", [-1, 2, 2])], [("y", "FP32", [-1])])
    with pytest.raises(InvalidInput, match=message):
        decode(sig, examples=[{"grid": feature}])


@pytest.mark.parametrize("name", ["serving_default", "tensorflow/serving/regress", "regression"])
def test_the_usual_names_of_the_signature_are_known(name):
    assert decode(NUMBER, examples=[{"x": [1, 2, 3]}], signature_name=name).inputs


def test_regressions_are_one_number_for_each_example():
    outputs = {"y": np.float32([[1], [np.nan]])}

    assert RegressCodec(NUMBER).encode(outputs) == b'{"results":[1.0,NaN]}'
    rows = [{"y": np.float32([[1]])}, {"y": np.float32([[2]])}]
    assert RegressCodec(NUMBER).encode(rows) == b'{"results":[1.0,2.0]}'


def test_classifications_are_pairs_of_label_and_score():
    sig = signature(VECTOR, [SCORES, ("classes", "BYTES", [-1, 3])])
    outputs = {
        "scores": np.float32([[0.5, 0.25, 1]]),
        "classes": np.array([[b"cat", b"dog", b"emu"]], object),
    }

    assert ClassifyCodec(sig).encode(outputs) == (
        b'{"results":[[["cat",0.5],["dog",0.25],["emu",1.0]]]}'
    )
    assert ClassifyCodec(CLASSES).encode({"scores": outputs["scores"]}) == (
        b'{"results":[[["",0.5],["",0.25],["",1.0]]]}'
    )


def test_rows_of_unequally_many_classes_are_answered_one_by_one():
    rows = [{"scores": np.float32([[0.5]])}, {"scores": np.float32([[0.5, 1]])}]

    assert ClassifyCodec(CLASSES).encode(rows) == (b'{"results":[[["",0.5]],[["",0.5],["",1.0]]]}')


@pytest.mark.parametrize(
    ("outputs", "found"),
    [
        ([SCORES], ("scores",)),
        ([("p", "FP64", [-1, 2]), ("label", "INT64", [-1])], ("p",)),
        ([("label", "BYTES", [-1, 3]), ("score", "FP32", [-1, 3])], ("score", "label")),
        ([("index", "INT64", [-1, 3]), ("score", "FP32", [-1, 3]), ("label", "BYTES", [-1, 3])],
         ("score", "label")),
        ([("score", "FP32", [-1, 3]), ("name", "BYTES", [-1])], ("score",)),
        ([("a", "FP32", [-1, 3]), ("probabilities", "FP32", [-1, 3])], ("probabilities",)),
        ([("a", "FP32", [-1, 3]), ("b", "FP32", [-1, 3])], None),
        ([("y", "FP32", [-1])], None),
        ([("y", "INT64", [-1, 3])], None),
    ],
    ids=str,
)  # fmt: skip
def test_scores_and_labels_follow_from_the_signature(outputs, found):
    sig = signature(VECTOR, outputs)
    if found is not None:
        assert scores_of(sig) == found
        return
    with pytest.raises(Unsupported, match="no output of class scores"):
        decode(sig, ClassifyCodec, examples=[{"x": [1, 2, 3]}])


@pytest.mark.parametrize(
    ("outputs", "found"),
    [
        ([("y", "FP32", [-1])], "y"),
        ([("y", "FP64", [-1, 1]), ("z", "FP32", [-1, 3])], "y"),
        ([("a", "FP32", [-1]), ("outputs", "FP32", [-1])], "outputs"),
        ([("y", "FP32", [-1, 2])], None),
        ([("y", "INT64", [-1])], None),
    ],
    ids=str,
)
def test_the_value_of_a_regression_follows_from_the_signature(outputs, found):
    sig = signature(VECTOR, outputs)
    if found is not None:
        assert value_of(sig) == found
        return
    with pytest.raises(Unsupported, match="no output of one float"):
        decode(sig, examples=[{"x": [1, 2, 3]}])


FREE = signature([("x", "FP32", [-1, -1]), ("t", "BYTES", [-1, 1])], [("y", "FP32", [-1, 1])])


@pytest.mark.parametrize(
    "context",
    [
        {"x": [1] * 30_000},
        {"x": [[1]] * 30_000},
        {"t": "a" * 500_000},
        {"t": {"b64": "a" * 500_000}},
    ],
    ids=["values", "lists", "text", "bytes"],
)
def test_a_context_does_not_become_very_much_in_many_examples(context):
    """A body of some hundred KiB would become gigabytes."""
    with pytest.raises(TooLarge, match='"context" is too large to be shared by 60000 examples'):
        decode(FREE, examples=[{}] * 60_000, context=context)


def test_a_context_is_of_inputs_alone():
    """Else its names would be looked at once for each example."""
    with pytest.raises(InvalidInput, match="\"context\" holds 'c0', which is no input"):
        decode(FREE, examples=[{}] * 60_000, context={f"c{n}": 1 for n in range(20_000)})
