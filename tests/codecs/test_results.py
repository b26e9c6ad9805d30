import json

import numpy as np
import pytest
from tests.codecs.signatures import signature

from inferd.codecs.results import Results, decode_response, encode_request
from inferd.core.errors import InvalidInput

ONE = signature([("x", "FP32", [-1, 2])], [("y", "FP32", [-1, -1])])
NUMBER = signature([("x", "FP32", [-1, 2])], [("y", "FP32", [-1, 1])])
TWO = signature([("x", "FP32", [-1, 2])], [("a", "INT64", [-1]), ("b", "BYTES", [-1, 2])])
WHOLE = signature([("x", "FP32", [2])], [("y", "FP32", [2])], batched=False)


@pytest.mark.parametrize(
    ("sig", "body", "single", "shapes"),
    [
        (NUMBER, b'{"result":0.5}', True, {"y": (1, 1)}),
        (NUMBER, b'{"result":[0.5,0.7]}', False, {"y": (2, 1)}),
        (ONE, b'{"result":[0.5,0.7]}', True, {"y": (1, 2)}),
        (ONE, b'{"result":[]}', False, {}),
        (TWO, b'{"result":[{"a":1,"b":["x","y"]}]}', False, {"a": (1,), "b": (1, 2)}),
        (TWO, b'{"result":{"a":1,"b":["x","y"]}}', True, {"a": (1,), "b": (1, 2)}),
        (WHOLE, b'{"result":[1,2]}', True, {"y": (2,)}),
    ],
)
def test_a_client_reads_results(sig, body, single, shapes):
    assert {n: a.shape for n, a in decode_response(body, sig, single).items()} == shapes


def test_rows_of_unequal_shape_stay_apart():
    rows = decode_response(b'{"result":[[1],[2,3]]}', ONE, single=False)

    assert [row["y"].tolist() for row in rows] == [[[1]], [[2, 3]]]


@pytest.mark.parametrize(
    ("sig", "body", "message"),
    [
        (ONE, b"[]", 'no "result"'),
        (ONE, b'{"result":5}', "must be a list"),
        (TWO, b'{"result":[5]}', "must be an object"),
    ],
)
def test_what_is_no_result_is_refused(sig, body, message):
    with pytest.raises(InvalidInput, match=message):
        decode_response(body, sig, single=False)


def test_a_request_of_several_inputs_names_them():
    sig = signature([("a", "FP32", [-1]), ("b", "INT64", [-1, 2])])
    inputs = {"a": np.float32([0.5]), "b": np.array([[1, 2]])}

    assert encode_request(inputs, sig, single=True) == b'{"data":{"a":0.5,"b":[1,2]}}'
    assert encode_request(inputs, sig, single=False) == b'{"data":{"a":[0.5],"b":[[1,2]]}}'


def test_rows_answer_one_by_one():
    rows = [{"y": np.float32([[1]])}, {"y": np.float32([[2, 3]])}]

    assert Results(ONE).encode(rows, False) == b'{"result":[[1.0],[2.0,3.0]]}'


FREE = signature([("x", "FP32", [-1, 3])], [("label", "BYTES", [-1, -1]), ("n", "INT64", [-1, 1])])


@pytest.mark.parametrize("hits", [0, 1, 2], ids=["none", "one", "two"])
def test_the_kind_of_a_result_is_the_signatures_never_the_datas(hits):
    labels = np.array([[b"cat", b"dog"][:hits]], object).reshape(1, hits)
    outputs = {"label": labels, "n": np.array([[hits]])}
    expected = {"label": ["cat", "dog"][:hits], "n": hits}

    assert _result(Results(FREE).encode(outputs, True)) == expected
    assert _result(Results(FREE).encode(outputs, False)) == [expected]
    assert _result(Results(FREE).encode([outputs], False)) == [expected]
    assert _result(Results(FREE).encode({"label": labels}, True)) == expected["label"]
    assert _result(Results(FREE).encode({"label": labels}, False)) == [expected["label"]]


def test_a_label_of_the_c_type_long_long_is_a_number():
    outputs = {"a": np.zeros(1, np.longlong), "b": np.array([[b"x", b"y"]], object)}

    assert _result(Results(TWO).encode(outputs, True)) == {"a": 0, "b": ["x", "y"]}
    assert _result(Results(TWO).encode(outputs, False)) == [{"a": 0, "b": ["x", "y"]}]
    assert _result(Results(TWO).encode({"a": outputs["a"]}, True)) == 0


def _result(body):
    return json.loads(body)["result"]


def test_a_piece_need_not_hold_every_output():
    one = Results(signature([("x", "FP32", [-1, 1])], [("y", "BYTES", [-1])]))
    two = Results(signature([("x", "FP32", [-1, 1])], [("y", "BYTES", [-1]), ("n", "INT64", [-1])]))
    text = {"y": np.array([b"a"], object)}

    assert one.piece(text) == b"a" and one.piece({}) == {}
    assert two.piece(text) == {"y": b"a"}
