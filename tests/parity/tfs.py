"""The doors of TensorFlow Serving over REST, and of KServe's first protocol on the same paths."""

from tests.parity.doors import HttpDoor, ask_json, batched, json_asked, outputs_of
from tests.parity.simple import b64_or_text, of_b64_or_text
from tests.parity.tensors import listed, read

TYPES = {"STRING": "BYTES", "HALF": "FP16", "FLOAT": "FP32", "DOUBLE": "FP64"}


class Columns(HttpDoor):
    """Whole tensors: ``inputs`` and ``outputs``."""

    label = "tfserving"

    def path(self, model, version, label):
        place = f"/versions/{version}" if version else f"/labels/{label}" if label else ""
        return f"/v1/models/{model}{place}:predict"

    def body(self, model, inputs):
        values = {name: listed(array, b64_or_text) for name, array in inputs.items()}
        lone = set(values) == {"x"}
        return {"signature_name": "serving_default", "inputs": values["x"] if lone else values}

    def request(self, model, inputs, *, outputs=None, version=None, label=None):
        return json_asked(self.path(model, version, label), self.body(model, inputs))

    def read(self, reply, model, outputs):
        specs, value = outputs_of(model), reply.json["outputs"]
        named = {next(iter(specs)): value} if len(specs) == 1 else value
        assert set(named) == set(specs)
        return {n: read(named[n], d, len(s), of_b64_or_text) for n, (d, s) in specs.items()}

    def metadata(self, model):
        described = ask_json(self.http, f"/v1/models/{model}/metadata")
        definition = described["metadata"]["signature_def"]["signature_def"]["serving_default"]
        return tuple(
            {
                name: (
                    TYPES.get(row["dtype"][3:], row["dtype"][3:]),
                    tuple(int(d["size"]) for d in row["tensor_shape"]["dim"]),
                )
                for name, row in definition[key].items()
            }
            for key in ("inputs", "outputs")
        )

    def ready(self, model):
        states = self.http.get(f"/v1/models/{model}").json["model_version_status"]
        return states[0]["state"] == "AVAILABLE"


class Rows(Columns):
    """Row by row: ``instances`` and ``predictions``."""

    def body(self, model, inputs):
        return {"instances": rows(inputs)}

    def read(self, reply, model, outputs):
        specs, value = outputs_of(model), reply.json["predictions"]
        assert batched(model)
        if len(specs) == 1:
            value = [{next(iter(specs)): row} for row in value]
        assert all(set(row) == set(specs) for row in value)
        return {
            n: read([row[n] for row in value], d, len(s), of_b64_or_text)
            for n, (d, s) in specs.items()
        }


def rows(inputs):
    """Return tensors as a list of examples: bare values for ``x``, else objects."""
    if any(array.ndim == 0 for array in inputs.values()):
        return [listed(array, b64_or_text) for array in inputs.values()]
    values = {name: listed(array, b64_or_text) for name, array in inputs.items()}
    if set(values) == {"x"}:
        return values["x"]
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


class KServe(Rows):
    """KServe's first protocol, each request in a structured CloudEvent."""

    def body(self, model, inputs):
        event = {"specversion": "1.0", "id": "1", "source": "tests", "type": "org.kserve.predict"}
        return {**event, "data": {"instances": rows(inputs)}}

    def ready(self, model):
        reply = self.http.get(f"/v1/models/{model}")
        assert reply.status in (200, 503)
        assert reply.json["name"] == model
        assert reply.json["ready"] is (reply.status == 200)
        return reply.json["ready"]
