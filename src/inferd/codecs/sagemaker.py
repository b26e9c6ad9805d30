"""The SageMaker dialect: bodies as its containers and toolkits take them, answered in kind.

JSON bodies come in several forms, and the answer has the form that belongs to the question's:

==========================  =====================================================================
``{"instances": [...]}``    a list of examples (``{"features": ...}`` may wrap the lone input), answered
                            by ``{"predictions": [...]}``
``{"inputs": ...}``         one example, a batch, or values by input name, as ``data`` of the simple
                            dialect takes them, answered by ``{"predictions": ...}``
``{"data": ...}``           the simple dialect, answered by ``{"result": ...}``
``[...]``                   the bare value, as the SDK's serializer sends it, answered by a bare value
``{"inputs": [{"name",      the Open Inference Protocol's request, answered by its response
"datatype", ...}]}``
==========================  =====================================================================

Other bodies are a table, an array, arrays by name, JSON Lines, or bytes; a batch of those is answered by
``{"predictions": [...]}``. Whatever the body, the answer may be asked for in any type that the outputs
allow (``codecs.answers``).

Sources: "Common data formats for inference" of the SageMaker developer guide; the behaviour of
sagemaker-inference's default handlers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inferd.codecs import json, jsonlines
from inferd.codecs.answers import answerer
from inferd.codecs.base import Decoded, Encoded, Encoder
from inferd.codecs.media import CSV, JSON, JSON_LINES, NPY, NPZ, OCTETS, TEXT, BytesCodec, accepts
from inferd.codecs.media import media_codec as simple_media
from inferd.codecs.npy import MAGIC
from inferd.codecs.npz import NpzCodec
from inferd.codecs.oip import OIPCodec
from inferd.codecs.results import Results
from inferd.codecs.simple import SimpleCodec, parameters
from inferd.codecs.values import holds_one, is_b64, shown
from inferd.core.errors import InvalidInput, UnsupportedMedia, nearest
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature
from inferd.core.tensor import BYTES, Tensors

PREDICTIONS, RESULT, BARE, PROTOCOL = "predictions", "result", "bare", "protocol"
ANSWERED = {"instances": PREDICTIONS, "inputs": PREDICTIONS, "data": RESULT}
"""Key of a JSON body to the form of its answer."""

KEYS = (*ANSWERED, "parameters", "outputs", "stream", "signature_name")
OFFLOADED = (JSON, JSON_LINES, CSV, NPZ)
"""Bodies that are worth reading in another process where they are large."""

_AT_ONCE = (NPY, NPZ, TEXT, OCTETS)  # answers that are quick to write at any size
_FEATURES = "features"


def bodies(signature: Signature) -> tuple[str, ...]:
    """Return the content types that a model of this signature takes, JSON first."""
    found = [*accepts(signature), NPZ]
    if signature.batched:
        found.append(JSON_LINES)
    if signature.lone is not None:
        found.append(OCTETS)
    return tuple(found)


class SageMakerCodec:
    """Decoder of one content type and encoder of one, for one version of a model."""

    def __init__(
        self, signature: Signature, plan: BatchPlan | None = None,
        max_depth: int = json.MAX_DEPTH, body: str = JSON, answer: str = JSON,
    ) -> None:  # fmt: skip
        self._signature = signature
        self._plan = plan
        self._depth = max_depth
        self._body = body
        self._raw = answer in _AT_ONCE
        self._simple = SimpleCodec(signature, plan, max_depth)
        self._oip = OIPCodec(signature, plan, max_depth)
        self._results = Results(signature)
        self._answer: Encoder | None = None if answer == JSON else answerer(answer, signature)
        inputs = signature.inputs
        lone = signature.lone
        self._wrapped = len(inputs) == 1
        self._lists = 0  # around a bare value that is an example
        if lone is not None and holds_one(lone, signature):
            self._lists = len(lone.shape) - signature.batched
        self._names = {_FEATURES, *(spec.name for spec in inputs)}
        if body not in bodies(signature):
            raise UnsupportedMedia(
                f"this model does not take {body}", help="it takes " + ", ".join(bodies(signature))
            )

    def decode(self, body: bytes) -> Decoded:
        """Decode a request body; raises ``InvalidInput``."""
        decoded = self._read(body)
        decoded.raw = self._raw
        return decoded

    def _read(self, body: bytes) -> Decoded:
        if self._body == JSON:
            return self._json(body)
        if self._body == JSON_LINES:
            rows = jsonlines.loads(bytes(body), self._depth)
            return self._examples(rows, self._names | {"inputs", "data"}, "lines")
        if self._body == NPZ:
            return NpzCodec(self._signature, self._plan).decode(body)
        if self._body == OCTETS:
            return self._octets(body)
        return simple_media(self._body, self._signature, self._plan).decode(body)

    def _octets(self, body: bytes) -> Decoded:
        """Read bytes of no said type: the one element of a model of bytes, or an array."""
        spec = self._signature.lone
        assert spec is not None  # else it was refused before
        if spec.dtype is BYTES and holds_one(spec, self._signature):
            return BytesCodec(spec, text=False).decode(bytes(body))
        if bytes(body[: len(MAGIC)]) == MAGIC:
            return simple_media(NPY, self._signature, self._plan).decode(body)
        raise UnsupportedMedia(
            f"{OCTETS} does not say what the body is, and it is no npy array",
            help="it takes " + ", ".join(bodies(self._signature)),
        )

    # ----------------------------------------------------------------------------------- JSON

    def _json(self, body: bytes) -> Decoded:
        request = json.loads(body, self._depth)
        if type(request) is not dict or is_b64(request):
            decoded = self._data(self._bare(request), "the body")
            decoded.form = {"as": BARE}
            return decoded
        if is_protocol(request):
            decoded = self._oip.decode(body)
            decoded.form = {"as": PROTOCOL, "form": decoded.form}
            return decoded
        key = _key(request)
        value = request[key]
        decoded = self._instances(value) if key == "instances" else self._data(value, key)
        decoded.form = {"as": ANSWERED[key]}
        decoded.outputs = self._simple._wanted(request.get("outputs"))
        decoded.parameters = parameters(request.get("parameters"), "parameters")
        stream = request.get("stream", False)
        if type(stream) is not bool:
            raise InvalidInput('"stream" must be true or false')
        if stream:
            decoded.form["stream"] = True
        return decoded

    def _bare(self, value: Any) -> Any:
        if value is None:
            raise InvalidInput("the body is null", help='send {"instances": [...]}')
        return value

    def _instances(self, value: Any) -> Decoded:
        if type(value) is not list:
            raise InvalidInput('"instances" must be a list of examples')
        if not value:
            raise InvalidInput('"instances" holds no examples')
        return self._examples(value, self._names, "instances")

    def _data(self, value: Any, where: str) -> Decoded:
        """Read what the simple dialect calls ``data``, under the name that it has here."""
        try:
            return self._simple._data(value)
        except InvalidInput as error:
            if error.message.startswith("data"):
                error.message = where + error.message.removeprefix("data")
            raise

    def _examples(self, rows: list[Any], wraps: set[str], where: str) -> Decoded:
        """Read examples, one or several, that are answered by a list."""
        if self._wrapped:
            rows = [_unwrapped(row, wraps) for row in rows]
        if self._lists:
            rows = [_nested(row, self._lists) for row in rows]
        if not self._signature.batched and len(rows) == 1:
            return self._data(rows[0], where)
        decoded = self._data(rows, where)
        decoded.single = decoded.single and not self._signature.batched
        return decoded

    # --------------------------------------------------------------------------------- answers

    def encode(
        self,
        outputs: Tensors | list[Tensors],
        single: bool,
        id: str | None = None,
        model: str = "",
        version: str = "",
        form: Any = None,
    ) -> bytes | Encoded:
        """Encode a response in the type of this codec, JSON in the form of the question."""
        if self._answer is not None:
            return self._answer.encode(outputs, single, id, model, version)
        kind = PREDICTIONS if form is None else form["as"]
        if kind == PROTOCOL:
            return self._oip.encode(outputs, single, id, model, version, form["form"])
        result = self._results.result(outputs, single)
        return json.dumps(result if kind == BARE else {kind: result})


def streams(form: Any) -> bool:
    """Return whether the body that gave a ``Decoded.form`` asks for its answer in pieces."""
    return isinstance(form, dict) and bool(form.get("stream"))


def is_protocol(request: Mapping[str, Any]) -> bool:
    """Return whether a JSON body is an Open Inference Protocol request: named tensors in a list."""
    inputs = request.get("inputs")
    return type(inputs) is list and bool(inputs) and all(
        type(item) is dict and "name" in item and "datatype" in item for item in inputs
    )  # fmt: skip


def _key(request: Mapping[str, Any]) -> str:
    """Return the key under which a body holds its examples; raises ``InvalidInput``."""
    if "requestType" in request:
        raise InvalidInput(
            f"requestType {shown(str(request['requestType']))}: stateful sessions are not enabled",
            help="send each request by itself",
        )
    for key in request:
        if key not in KEYS:
            raise InvalidInput(f"unknown key {shown(key)} in the body", help=nearest(key, KEYS))
    found = [key for key in ANSWERED if request.get(key) is not None]
    if len(found) != 1:
        told = " and ".join(f'"{key}"' for key in found) or 'no "instances"'
        raise InvalidInput(f"the body has {told}", help='send {"instances": [...]}')
    return found[0]


def _nested(row: Any, lists: int) -> Any:
    """Return an example that holds one value, with the lists it may leave out."""
    if type(row) not in (list, dict):
        for _ in range(lists):
            row = [row]
    return row


def _unwrapped(row: Any, wraps: set[str]) -> Any:
    """Return the value of the lone input out of ``{"features": value}``."""
    if type(row) is dict and len(row) == 1:
        ((key, value),) = row.items()
        if key in wraps:
            return value
    return row
