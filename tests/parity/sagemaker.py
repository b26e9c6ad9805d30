"""The doors of SageMaker: of its containers, in each type of body, and of the runtime API."""

import contextlib
import json
import zlib
from io import BytesIO

import numpy as np
from tests.parity.doors import HttpDoor, batched, kind_of, outputs_of, prompted
from tests.parity.serve import INVOKED
from tests.parity.simple import b64_or_text, results
from tests.parity.tensors import fixed, listed, loose, npy, read_table, table
from tests.parity.tfs import rows
from tests.parity.wire import Asked, Refused, Reply, events, lines


class Container(HttpDoor):
    """JSON: ``instances`` and ``predictions``."""

    label = "sagemaker"
    media = "application/json"
    chooses = True

    def request(self, model, inputs, *, outputs=None, version=None, label=None):
        headers = {"Content-Type": self.media, "Accept": self.media}
        return Asked(self.path(model), self.body(model, inputs, outputs), headers)

    def path(self, model):
        return "/invocations" if model == INVOKED else f"/models/{model}/invoke"

    def body(self, model, inputs, outputs):
        if batched(model):
            body = {"instances": rows(inputs)}
        else:
            body = {"inputs": listed(inputs["x"], b64_or_text)}
        if outputs is not None:
            body["outputs"] = outputs
        return json.dumps(body).encode()

    def read(self, reply, model, outputs):
        assert reply.headers["content-type"] == self.media
        specs = outputs_of(model, outputs if self.chooses else None)
        return results(self.value(reply), specs, rows=batched(model))

    def value(self, reply):
        return reply.json["predictions"]

    def metadata(self, model):
        reply = self.http.get(f"/models/{model}")
        return self.refuse(reply) if reply.status != 200 else reply.json

    def ready(self, model):
        return self.http.get("/ping").status == 200

    def pieces(self, prompt):
        asked = self.request("teller", prompted(prompt))
        asked.headers["Accept"] = "text/event-stream"
        for data in events(self.stream(asked), self.refuse):
            found = json.loads(data)
            if isinstance(found, dict) and "error" in found:
                raise Refused("model_failed", found["error"])
            yield found


class Lines(Container):
    """A JSON value on each line."""

    media = "application/jsonlines"
    chooses = False

    def body(self, model, inputs, outputs):
        return b"".join(json.dumps(row).encode() + b"\n" for row in rows(inputs))

    def value(self, reply):
        return [json.loads(line) for line in reply.body.splitlines()]

    def pieces(self, prompt):
        asked = self.request("teller", prompted(prompt))
        for line in lines(self.stream(asked), self.refuse):
            found = json.loads(line)
            if isinstance(found, dict) and "error" in found:
                raise Refused("model_failed", found["error"])
            yield found


class Table(Container):
    """CSV."""

    media = "text/csv"

    def body(self, model, inputs, outputs):
        return table({name: np.atleast_1d(array) for name, array in inputs.items()})

    def read(self, reply, model, outputs):
        return read_table(reply.body, outputs_of(model))


class Array(Container):
    """A numpy file; of several inputs the first."""

    media = "application/x-npy"

    def body(self, model, inputs, outputs):
        return npy(next(iter(inputs.values())))

    def read(self, reply, model, outputs):
        (name,) = outputs_of(model)
        return {name: loose(np.load(BytesIO(reply.body)))}


class Arrays(Container):
    """Numpy's archive of named arrays."""

    media = "application/x-npz"

    def body(self, model, inputs, outputs):
        out = BytesIO()
        np.savez(out, **{name: fixed(array) for name, array in inputs.items()})
        return out.getvalue()

    def read(self, reply, model, outputs):
        archive = np.load(BytesIO(reply.body))
        assert set(archive) == set(outputs_of(model))
        return {name: loose(archive[name]) for name in archive}


class Runtime(Container):
    """The runtime API before an endpoint."""

    label = "sagemaker_runtime"

    def path(self, model):
        return f"/endpoints/{model}/invocations"

    def request(self, model, inputs, *, outputs=None, version=None, label=None):
        asked = super().request(model, inputs, outputs=outputs)
        if version or label:
            asked.headers["X-Amzn-SageMaker-Target-Variant"] = version or label
        return asked

    def refusal(self, reply):
        name, body = reply.headers["x-amzn-errortype"], reply.json
        kinds = {
            "ValidationError": (400, "invalid_input"),
            "ModelNotReadyException": (429, "unavailable"),
            "ServiceUnavailable": (503, "overloaded"),
            "InternalFailure": (500, "internal"),
        }
        if name == "ModelError":
            assert reply.status == 424
            kind = kind_of(body["OriginalStatusCode"], body["OriginalMessage"])
        else:
            status, kind = kinds[name]
            assert reply.status == status
        return Refused(kind, body["Message"], reply.status, reply.headers)

    def metadata(self, model):
        reply = self.http.get(f"/endpoints/{model}")
        return self.refuse(reply) if reply.status != 200 else reply.json

    def pieces(self, prompt):
        asked = self.request("teller", prompted(prompt))
        del asked.headers["Accept"]
        path = asked.path.replace("/invocations", "/invocations-response-stream")
        yield from _events(self.stream(asked._replace(path=path)), self)


def _events(sent, door):
    """Yield the pieces in the messages of an event stream: length, headers, payload, checksum."""
    with contextlib.closing(sent):
        response = sent.response()
        if response.status != 200:
            door.refuse(Reply(response))
        while head := response.read(12):
            size, headers = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:8], "big")
            assert zlib.crc32(head[:8]) == int.from_bytes(head[8:], "big")
            rest = response.read(size - 12)
            assert zlib.crc32(head + rest[:-4]) == int.from_bytes(rest[-4:], "big")
            named, payload = rest[:headers], rest[headers:-4]
            if b"exception" in named:
                raise Refused("model_failed", payload.decode())
            for line in payload.splitlines():
                yield json.loads(line)
