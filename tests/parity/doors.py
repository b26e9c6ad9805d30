"""What every door of the parity tests can do, and what each model is asked.

A door speaks one dialect. Most are HTTP: they say how a question is written (``request``), how its answer
is read (``read``) and what a refusal means (``refusal``), and have the rest from here.
"""

import json

import numpy as np
from tests.parity.models import SIGNATURES
from tests.parity.wire import Answer, Asked, Refused

KINDS = {
    400: "invalid_input", 403: "not_allowed", 404: "not_found", 413: "too_large",
    415: "unsupported_media", 429: "overloaded", 501: "unsupported", 503: "unavailable",
    504: "deadline_exceeded",
}  # fmt: skip
"""Status to kind, where a dialect's body does not say it. 500 is the model's fault or the server's."""


def kind_of(status, text):
    """Return the kind of error that a status of HTTP stands for."""
    if status == 500:
        return "internal" if "internal error" in text else "model_failed"
    return KINDS[status]


def value(number):
    """Return the one row of one value that models are asked whose answer does not matter."""
    return {"x": np.array([[number]], np.float32)}


class Door:
    """One dialect. ``label``: its name in the metrics; ``task``: which kind of models it is for."""

    label = ""
    task = "tensors"
    held = "held"
    """The model that waits while it is held, asked by ``subject("held")``."""
    teller = "teller"
    """The model that answers in pieces."""

    def __init__(self, server):
        self.server = server
        self.http = server.http

    def subject(self, what, mark=1.0):
        """Return model and inputs that bring about ``what``; ``mark`` tells one request from others."""
        model = {"works": "echo-fp32", "unknown": "nothing"}.get(what, what)
        return model, value(2000.0 if what in ("fails", "slow") else mark)

    def ask(self, what, mark=1.0, **more):
        """Ask for ``what``, whatever comes back."""
        return self.predict(*self.subject(what, mark), **more)

    def predict(
        self, model, inputs, *, outputs=None, version=None, label=None, timeout=None, id=None
    ):
        """Return the ``Answer`` of a model; raises ``Refused``."""
        raise NotImplementedError

    def begin(self, model, inputs):
        """Send a question and return something to ``close`` before its answer is there."""
        raise NotImplementedError

    def lacking(self):
        """Ask without something that is needed."""
        return self.predict("pair", {"a": np.array([[1.0]])})

    def mistyped(self):
        """Ask with a text where a number belongs, or the other way round."""
        text = np.array([[b"one", b"two"]], object)
        return self.predict("echo-fp32", {"x": text})

    def misshaped(self):
        """Ask with rows of the wrong length."""
        return self.predict("fixed", {"x": np.ones((2, 4), np.float32)})

    def oversized(self, size):
        """Ask with a body of over ``size`` bytes."""
        return self.predict("echo-fp32", {"x": np.zeros((1, size // 4 + 1), np.float32)})

    def metadata(self, model):
        """Return what a model takes and gives: two dicts of name to (datatype, shape)."""
        raise NotImplementedError

    def ready(self, model):
        """Return whether a model is ready."""
        raise NotImplementedError

    def whole(self, prompt):
        """Return the whole answer of ``teller``."""
        return b"".join(self.predict("teller", prompted(prompt)).tensors["text"].tolist()).decode()

    def pieces(self, prompt):
        """Yield the pieces of the answer of ``teller``; closing it goes away."""
        yield self.whole(prompt)


def prompted(prompt):
    """Return the inputs of ``teller``."""
    return {"prompt": np.array([prompt.encode()], object)}


class HttpDoor(Door):
    """A door of HTTP."""

    def request(self, model, inputs, *, outputs=None, version=None, label=None):
        """Return the question as an ``Asked``."""
        raise NotImplementedError

    def read(self, reply, model, outputs):
        """Return the tensors of an answer."""
        raise NotImplementedError

    def refusal(self, reply):
        """Return the ``Refused`` of a reply that is no success."""
        text = reply.json["error"]
        assert isinstance(text, str)
        return Refused(kind_of(reply.status, text), text, reply.status, reply.headers)

    def refuse(self, reply):
        raise self.refusal(reply)

    def predict(
        self, model, inputs, *, outputs=None, version=None, label=None, timeout=None, id=None
    ):
        asked = self.request(model, inputs, outputs=outputs, version=version, label=label)
        reply = self.http.ask(asked._replace(headers={**asked.headers, **wishes(timeout, id)}))
        if reply.status != 200:
            self.refuse(reply)
        return Answer(self.read(reply, model, outputs), reply.headers.get("x-request-id"))

    def begin(self, model, inputs):
        return self.http.send(self.request(model, inputs))

    def oversized(self, size):
        asked = self.request(*self.subject("works"))
        reply = self.http.ask(asked._replace(body=asked.body + b" " * size))
        return self.refuse(reply) if reply.status != 200 else reply

    def stream(self, asked):
        """Send a question whose answer is streamed."""
        return self.http.send(asked)


def wishes(timeout, id):
    """Return the headers by which any request may say its deadline and its id."""
    found = {} if timeout is None else {"X-Request-Timeout": f"{int(timeout * 1000)}ms"}
    return found if id is None else {**found, "X-Request-Id": id}


def outputs_of(model, outputs=None):
    """Return the outputs of a model, those asked for: name to (datatype, shape)."""
    specs = SIGNATURES[model][1]
    return specs if outputs is None else {name: specs[name] for name in outputs}


def batched(model):
    """Return whether a model takes batches; one that does not exist would."""
    return all(shape for _, shape in SIGNATURES.get(model, ({}, {}))[1].values())


def json_asked(path, value, headers=None):
    """Return a question whose body is JSON as Python writes it, bare NaN and all."""
    return Asked(
        path, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})}
    )


def ask_json(http, path):
    """Return the JSON at a path; raises AssertionError where it is refused."""
    reply = http.get(path)
    assert reply.status == 200, (path, reply.status, reply.body)
    return reply.json


def requests(door, model, status=200):
    """Return the name under which the requests of a door to a model are counted."""
    labels = f'door="{door.label}",model="{model}",status="{status}",version="1"'
    return f"inferd_requests_total{{{labels}}}"
