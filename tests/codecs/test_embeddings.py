import base64

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.codecs.signatures import signature

from inferd.codecs.embeddings import EmbeddingsCodec, shortened
from inferd.core.errors import InvalidInput, ModelFailed
from inferd.core.plan import BatchPlan

VECTORS = [("scores", "FP32", [-1]), ("vector", "FP32", [-1, 4]), ("other", "FP32", [-1, 2])]
TEXT = signature([("text", "BYTES", [-1])], VECTORS)
IDS = signature([("input_ids", "INT64", [-1, -1])], VECTORS)
BERT = signature(
    [(n, "INT64", [-1, -1]) for n in ("input_ids", "token_type_ids", "attention_mask")], VECTORS
)


def decode(given, sig=TEXT, plan=None, **more):
    return EmbeddingsCodec(sig, plan).decode(orjson.dumps({"model": "m", "input": given, **more}))


def lists(tensors):
    return {name: array.tolist() for name, array in tensors.items()}


def answer(decoded, outputs, sig=TEXT):
    body = EmbeddingsCodec(sig).encode(outputs, form=orjson.loads(orjson.dumps(decoded.form)))
    return orjson.loads(body)


def vectors(*rows):
    return {"vector": np.array(rows, np.float32)}


@pytest.mark.parametrize(("given", "texts"), [("hé", ["hé"]), (["a", "b"], ["a", "b"])], ids=str)
def test_texts_are_one_batch(given, texts):
    decoded = decode(given)

    assert lists(decoded.inputs) == {"text": [t.encode() for t in texts]}
    assert decoded.outputs == ("vector",)


def test_a_text_has_the_axes_that_the_model_wants():
    assert decode(["a", "b"], signature([("t", "BYTES", [-1, 1, 1])], VECTORS)).inputs[
        "t"
    ].shape == (2, 1, 1)
    alone = decode(["a", "b"], signature([("t", "BYTES", [1])], VECTORS, batched=False))
    assert [row["t"].tolist() for row in alone.rows] == [[b"a"], [b"b"]]


def test_token_ids_of_one_length_are_one_batch():
    assert lists(decode([1, 2, 3], IDS).inputs) == {"input_ids": [[1, 2, 3]]}
    assert lists(decode([[1, 2], [3, 4]], IDS).inputs) == {"input_ids": [[1, 2], [3, 4]]}


def test_token_ids_of_unequal_lengths_are_rows():
    decoded = decode([[1, 2], [3]], IDS)

    assert decoded.inputs is None
    assert [lists(row) for row in decoded.rows] == [{"input_ids": [[1, 2]]}, {"input_ids": [[3]]}]


def test_what_follows_from_token_ids_is_filled_in():
    assert lists(decode([[7, 8]], BERT).inputs) == {
        "input_ids": [[7, 8]], "token_type_ids": [[0, 0]], "attention_mask": [[1, 1]],
    }  # fmt: skip


def test_a_plan_that_splits_is_obeyed():
    assert len(decode(["a", "b"], plan=BatchPlan(split=True)).rows) == 2
    assert decode(["a"], plan=BatchPlan(split=True)).rows is None


@pytest.mark.parametrize(
    ("given", "sig", "told"),
    [
        ([], TEXT, "is empty"),
        ("", TEXT, "an empty text, the one of index 0"),
        (["a", ""], TEXT, "index 1"),
        (["a", 1], TEXT, "mixes texts and others, the first at index 1"),
        ([1, "a"], IDS, "mixes texts"),
        (5, TEXT, "must be a text"),
        ({"a": 1}, TEXT, "must be a text"),
        ([True], IDS, "must be a text"),
        ([1.5], IDS, "must be a text"),
        (["a"] * 2049, TEXT, "at most 2048"),
        ([[1]] * 2049, IDS, "at most 2048"),
        ([1, 2], TEXT, "token ids, which this model does not take"),
        ("a", IDS, "text, which this model does not take"),
        ([[1, 2], 3], IDS, "must be a list"),
        ([[1, "a"]], IDS, "must be an integer"),
        ([[1 << 63]], IDS, "out of range"),
        ([[]], IDS, "no token ids"),
        ([[1], []], IDS, "no token ids"),
    ],
    ids=range(18),
)
def test_what_is_no_input_is_refused(given, sig, told):
    with pytest.raises(InvalidInput, match=told) as caught:
        decode(given, sig)

    assert caught.value.message.startswith('"input"')


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"encoding_format": "int8"}, "encoding_format"),
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": 5}, "dimensions"),
        ({"extra": [1]}, "extra"),
    ],
    ids=str,
)
def test_other_fields_are_checked(more, param):
    with pytest.raises(InvalidInput, match=f'^"{param}" '):
        decode("a", **more)


def test_a_model_without_vectors_is_refused():
    with pytest.raises(InvalidInput, match="gives no vectors"):
        decode("a", signature([("text", "BYTES", [-1])], [("y", "FP32", [-1, -1, 8])]))


def test_scalars_go_to_the_model():
    assert decode("a", user="u", truncate=True).parameters == {"user": "u", "truncate": True}


def test_vectors_come_in_order_with_their_index():
    found = answer(decode(["a", "bcdef"]), vectors([1, 2, 3, 4], [5, 6, 7, 8.5]))

    assert found == {
        "object": "list",
        "model": "m",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [1, 2, 3, 4]},
            {"object": "embedding", "index": 1, "embedding": [5, 6, 7, 8.5]},
        ],
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }


@given(st.lists(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=4, max_size=4), min_size=1, max_size=5))  # fmt: skip
def test_both_forms_carry_the_same_numbers(rows):
    asked = ["x"] * len(rows)
    plain = answer(decode(asked), vectors(*rows))["data"]
    packed = answer(decode(asked, encoding_format="base64"), vectors(*rows))["data"]

    for row, number, text in zip(rows, plain, packed, strict=True):
        assert np.float32(number["embedding"]).tolist() == np.float32(row).tolist()
        assert (
            np.frombuffer(base64.b64decode(text["embedding"]), "<f4").tolist()
            == np.float32(row).tolist()
        )


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.dtype(">f4")], ids=str)
def test_vectors_of_other_precision_are_float32(dtype):
    outputs = {"vector": np.array([[1, 2, 3, 4.5]], dtype)}
    packed = answer(decode("a", encoding_format="base64"), outputs)["data"][0]["embedding"]

    assert np.frombuffer(base64.b64decode(packed), "<f4").tolist() == [1, 2, 3, 4.5]
    assert answer(decode("a"), outputs)["data"][0]["embedding"] == [1, 2, 3, 4.5]


def test_rows_run_one_by_one_are_put_together():
    decoded = decode([[1, 2], [3]], IDS)
    found = answer(decoded, [vectors([1, 0, 0, 0]), vectors([0, 1, 0, 0])], IDS)

    assert [d["embedding"] for d in found["data"]] == [[1, 0, 0, 0], [0, 1, 0, 0]]
    assert found["usage"]["prompt_tokens"] == 3
    with pytest.raises(ModelFailed, match="unequal sizes"):
        answer(decoded, [vectors([1, 0]), vectors([0])], IDS)


def test_tokens_that_a_model_reports_are_the_usage():
    sig = signature([("text", "BYTES", [-1])], [*VECTORS, ("prompt_tokens", "INT64", [-1])])
    decoded = decode(["a", "b"], sig)
    outputs = vectors([1, 2, 3, 4], [5, 6, 7, 8]) | {"prompt_tokens": np.array([11, 12])}

    assert decoded.outputs == ("vector", "prompt_tokens")
    assert answer(decoded, outputs, sig)["usage"]["prompt_tokens"] == 23


def test_fewer_dimensions_keep_the_length_of_the_vector():
    whole = np.array([[3, 4, 0, 12], [0, 0, 0, 2]], np.float32)
    cut = shortened(whole, 2)

    assert cut.shape == (2, 2)
    assert np.linalg.norm(cut[0]) == pytest.approx(13)
    assert cut[0, 1] / cut[0, 0] == pytest.approx(4 / 3)
    assert cut[1].tolist() == [0, 0]
    assert shortened(whole, 4) is whole
    with pytest.raises(InvalidInput, match='"dimensions" is 9, and the model gives 4'):
        shortened(whole, 9)


def test_fewer_dimensions_are_answered():
    found = answer(decode("a", dimensions=2), vectors([3, 4, 0, 12]))

    assert len(found["data"][0]["embedding"]) == 2


def test_inputs_that_have_a_default_are_left_out():
    texts = signature([("text", "BYTES", [-1]), ("scale", "FP32", [-1], {"default": 1})], VECTORS)
    ids = signature(
        [("input_ids", "INT64", [-1, -1]), ("scale", "FP32", [-1], {"default": 1})], VECTORS
    )

    assert list(decode("a", texts).inputs) == ["text"]
    assert list(decode([1, 2], ids).inputs) == ["input_ids"]
