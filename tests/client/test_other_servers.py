"""A server of the protocol that shares no code with inferd: json, struct and http.server alone."""

import json
import struct

import numpy as np
import pytest
from tests.client.serving import answering

from inferd.core.errors import InvalidInput, NotFound, Unsupported

CODES = {"FP32": "f", "FP64": "d", "INT64": "q", "BOOL": "?"}


class Other:
    """Models ``double`` (numbers), ``echo`` (texts) and ``bare``, whose metadata say nothing."""

    models = {
        "double": ([("x", "FP32", [-1, 2])], [("y", "FP32", [-1, 2])]),
        "echo": ([("t", "BYTES", [-1, 1])], [("t", "BYTES", [-1, 1])]),
        "bare": ([], []),
    }

    def __init__(self, *, binary):
        self.binary = binary

    def __call__(self, handler, body):
        parts = handler.path.strip("/").split("/")
        if handler.path == "/v2" and self.binary:
            handler.say(
                200, {"name": "other", "version": "0", "extensions": ["binary_tensor_data"]}
            )
        elif handler.path == "/v2" or parts[:2] != ["v2", "models"] or parts[2] not in self.models:
            handler.say(404, {"error": "not here"})
        elif parts[3:] == ["infer"]:
            self.infer(handler, parts[2], body)
        elif parts[3:] == ["ready"]:
            handler.say(200)
        elif parts[3:]:
            handler.say(404, {"error": "not here"})
        else:
            inputs, outputs = self.models[parts[2]]
            rows = [
                [{"name": n, "datatype": d, "shape": s} for n, d, s in specs]
                for specs in (inputs, outputs)
            ]
            handler.say(
                200, {"name": parts[2], "platform": "", "inputs": rows[0], "outputs": rows[1]}
            )

    def infer(self, handler, model, body):
        size = handler.headers.get("Inference-Header-Content-Length")
        if size is not None and not self.binary:
            handler.say(400, {"error": "not JSON"})
            return
        request = json.loads(body[: int(size)] if size else body)
        rest = body[int(size) :] if size else b""
        outputs, tail = [], b""
        for given in request["inputs"]:
            values, rest = self.values(given, rest)
            if model == "double":
                values = [2 * v for v in values]
            output = {"name": self.models[model][1][0][0] if model != "bare" else given["name"]}
            output |= {"datatype": given["datatype"], "shape": given["shape"]}
            if size:
                raw = self.raw(given["datatype"], values)
                output["parameters"] = {"binary_data_size": len(raw)}
                tail += raw
            else:
                output["data"] = values
            outputs.append(output)
        head = json.dumps(
            {"model_name": model, "id": request.get("id"), "outputs": outputs}
        ).encode()
        more = {"Inference_Header_Content_Length": len(head)} if size else {}
        handler.say(200, head + tail, **more)

    @staticmethod
    def values(given, rest):
        if "data" in given:
            return given["data"], rest
        size = given["parameters"]["binary_data_size"]
        raw, rest = rest[:size], rest[size:]
        if given["datatype"] != "BYTES":
            return list(
                struct.unpack(
                    f"<{size // struct.calcsize(CODES[given['datatype']])}{CODES[given['datatype']]}",
                    raw,
                )
            ), rest
        values = []
        while raw:
            (length,) = struct.unpack_from("<I", raw)
            values.append(raw[4 : 4 + length])
            raw = raw[4 + length :]
        return values, rest

    @staticmethod
    def raw(datatype, values):
        if datatype == "BYTES":
            return b"".join(struct.pack("<I", len(v)) + v for v in values)
        return struct.pack(f"<{len(values)}{CODES[datatype]}", *values)


@pytest.fixture(params=[True, False], ids=["binary", "json only"])
def other(request):
    with answering(Other(binary=request.param)) as (url, _):
        yield url


def test_numbers_and_texts_go_both_ways(make, other):
    client = make(other)

    assert client.predict("double", [1, 2.5])["y"].tolist() == [2, 5]
    assert client.predict("double", np.ones((3, 2)))["y"].tolist() == [[2, 2]] * 3
    assert client.predict("echo", "é").text() == ["é"]
    assert client.predict("echo", ["a"], request_id="r").id == "r"


def test_a_model_that_says_nothing_of_itself_is_given_arrays(make, other):
    client = make(other)
    result = client.predict("bare", {"a": np.arange(3), "b": [True, False]})

    assert result["a"].tolist() == [0, 1, 2] and result["a"].dtype == np.int64
    assert result["b"].tolist() == [True, False]
    with pytest.raises(InvalidInput, match="does not say what the model takes"):
        client.predict("bare", [1])


def test_what_it_lacks_is_said(make, other):
    client = make(other)

    assert client.ready("double")
    assert not client.live()
    with pytest.raises(NotFound, match="not here"):
        client.predict("missing", [1])
    with pytest.raises(NotFound):
        list(client.stream("double", [1, 2]))


def test_bytes_that_json_cannot_carry_need_the_binary_form(make):
    with answering(Other(binary=True)) as (url, _):
        assert make(url).predict("echo", b"\xff")["t"].tolist() == [b"\xff"]
    with answering(Other(binary=False)) as (url, _):
        with pytest.raises(Unsupported, match="not UTF-8"):
            make(url).predict("echo", b"\xff")
