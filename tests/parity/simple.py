"""The doors of ``/predict``, and of the Open Inference Protocol over REST."""

import base64
import json
import struct

import numpy as np
from tests.parity.doors import HttpDoor, ask_json, batched, json_asked, outputs_of, prompted
from tests.parity.tensors import NUMPY, dtype_of, listed, read
from tests.parity.wire import Asked, Refused, events


def b64_or_text(element):
    """Return bytes as a string, or as an object where they are not UTF-8."""
    try:
        return element.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(element).decode()}


def of_b64_or_text(value):
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value.encode()


def text_of(element):
    """Return bytes as a string, those that are not UTF-8 as what JSON cannot hold."""
    return element.decode("utf-8", "surrogateescape")


def example(value, dtype, row):
    """Return one example's part of an output; ``row`` is its shape. One value stands bare."""
    if row and all(n == 1 for n in row) and not isinstance(value, list):
        for _ in row:
            value = [value]
    return read(value, dtype, len(row), of_b64_or_text)


def results(value, specs, *, rows):
    """Return the outputs in the ``result`` of the simple dialect (and of those that write as it does)."""
    named = value
    if len(specs) == 1:
        (name,) = specs
        named = [{name: v} for v in value] if rows else {name: value}
    found = {}
    for name, (dtype, shape) in specs.items():
        if not rows:
            found[name] = example(named[name], dtype, shape)
            continue
        parts = [example(row[name], dtype, shape[1:]) for row in named]
        empty = np.empty((0, *(max(n, 0) for n in shape[1:])), NUMPY[dtype])
        found[name] = np.stack(parts) if parts else empty
    return found


class Simple(HttpDoor):
    label = "simple"

    def request(self, model, inputs, *, outputs=None, version=None, label=None):
        values = {name: listed(array, b64_or_text) for name, array in inputs.items()}
        body = {"data": values if len(values) != 1 else next(iter(values.values()))}
        if set(values) != {"x"}:
            body["data"] = values
        if outputs is not None:
            body["outputs"] = outputs
        place = f"/versions/{version or label}" if version or label else ""
        return json_asked(f"/models/{model}{place}/predict", body)

    def read(self, reply, model, outputs):
        return results(reply.json["result"], outputs_of(model, outputs), rows=batched(model))

    def refusal(self, reply):
        error = reply.json["error"]
        return Refused(error["kind"], error["message"], reply.status, reply.headers)

    def metadata(self, model):
        (described,) = self._control(model)["versions"]
        return tuple(
            {
                row["name"]: (row["dtype"], tuple(row["shape"]))
                for row in described["signature"][key]
            }
            for key in ("inputs", "outputs")
        )

    def ready(self, model):
        return all(v["state"] == "ready" for v in self._control(model)["versions"])

    def _control(self, model):
        return ask_json(self.server.control, f"/models/{model}")

    def pieces(self, prompt):
        asked = self.request("teller", prompted(prompt))
        asked.headers["Accept"] = "text/event-stream"
        for data in events(self.stream(asked), self.refuse):
            found = json.loads(data)
            if "error" in found:
                raise Refused(found["error"]["kind"], found["error"]["message"])
            yield found["result"]


class OIP(HttpDoor):
    """JSON both ways."""

    label = "oip"

    def path(self, model, version, verb):
        place = f"/versions/{version}" if version else ""
        return f"/v2/models/{model}{place}/{verb}"

    def request(self, model, inputs, *, outputs=None, version=None, label=None):
        body = {
            "inputs": [
                {
                    "name": name, "datatype": dtype_of(array), "shape": list(array.shape),
                    "data": listed(array.reshape(-1), text_of),
                }
                for name, array in inputs.items()
            ]
        }  # fmt: skip
        if outputs is not None:
            body["outputs"] = [{"name": name} for name in outputs]
        return json_asked(self.path(model, version or label, "infer"), body)

    def read(self, reply, model, outputs):
        answer = reply.json
        assert answer["model_name"] == model
        found = {}
        for entry in answer["outputs"]:
            flat = read(entry["data"], entry["datatype"], 1, str.encode)
            found[entry["name"]] = flat.reshape(entry["shape"])
        return found

    def metadata(self, model):
        described = ask_json(self.http, f"/v2/models/{model}")
        return tuple(
            {row["name"]: (row["datatype"], tuple(row["shape"])) for row in described[key]}
            for key in ("inputs", "outputs")
        )

    def ready(self, model):
        reply = self.http.get(f"/v2/models/{model}/ready")
        assert reply.status in (200, 503)
        assert reply.json["ready"] is (reply.status == 200)
        return reply.json["ready"]

    def pieces(self, prompt):
        asked = json_asked("/v2/models/teller/generate_stream", {"prompt": prompt})
        for data in events(self.stream(asked), self.refuse):
            found = json.loads(data)
            if "error" in found:
                raise Refused("model_failed", found["error"])
            yield found["text"]


class OIPBinary(OIP):
    """The binary tensor extension both ways."""

    def request(self, model, inputs, *, outputs=None, version=None, label=None):
        parts = {name: raw(array) for name, array in inputs.items()}
        head = {
            "parameters": {"binary_data_output": True},
            "inputs": [
                {
                    "name": name, "datatype": dtype_of(array), "shape": list(array.shape),
                    "parameters": {"binary_data_size": len(parts[name])},
                }
                for name, array in inputs.items()
            ],
        }  # fmt: skip
        if outputs is not None:
            head["outputs"] = [{"name": name} for name in outputs]
        text = json.dumps(head).encode()
        headers = {
            "Content-Type": "application/octet-stream",
            "Inference-Header-Content-Length": str(len(text)),
        }
        path = self.path(model, version or label, "infer")
        return Asked(path, text + b"".join(parts.values()), headers)

    def read(self, reply, model, outputs):
        size = int(reply.headers["inference-header-content-length"])
        answer, at, found = json.loads(reply.body[:size]), size, {}
        for entry in answer["outputs"]:
            end = at + entry["parameters"]["binary_data_size"]
            found[entry["name"]] = of_raw(reply.body[at:end], entry["datatype"], entry["shape"])
            at = end
        assert at == len(reply.body)
        return found


def raw(array):
    """Return the bytes of a tensor as the protocol's binary form has them."""
    if array.dtype == object:
        return b"".join(struct.pack("<I", len(e)) + e for e in array.ravel().tolist())
    return array.tobytes()


def of_raw(data, dtype, shape):
    if dtype != "BYTES":
        return np.frombuffer(data, NUMPY[dtype]).reshape(shape)
    elements, at = [], 0
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        elements.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    flat = np.empty(len(elements), object)
    flat[:] = elements
    return flat.reshape(shape)
