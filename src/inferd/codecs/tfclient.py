"""TensorFlow Serving as its clients speak it: the request of given tensors, and the answer as tensors.

JSON does not say of which datatype a number is, nor of which shape an empty list, so an answer is read
by the signature of the model.
"""

from __future__ import annotations

from typing import Any

from inferd.codecs import json
from inferd.codecs.tfnumbers import dumps
from inferd.codecs.tfserving import COLUMN, ROW, tensor
from inferd.codecs.values import Ragged
from inferd.core.errors import InvalidInput
from inferd.core.message import Parameters
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import Tensors


def encode_request(
    inputs: Tensors,
    form: str = ROW,
    signature_name: str | None = None,
    parameters: Parameters | None = None,
) -> bytes:
    """Write a predict request: ``inputs`` in rows (``ROW``) or as whole tensors (``COLUMN``).

    Raises ``InvalidInput`` where the tensors have no rows in common.
    """
    request: dict[str, Any] = {}
    if signature_name is not None:
        request["signature_name"] = signature_name
    if parameters:
        request["parameters"] = parameters
    if form == COLUMN:
        request["inputs"] = inputs if len(inputs) != 1 else next(iter(inputs.values()))
        return dumps(request)
    sizes = {array.shape[:1] for array in inputs.values()}
    if len(sizes) != 1 or () in sizes:
        raise InvalidInput("the tensors have no rows in common", help=f"send them as {COLUMN!r}")
    if len(inputs) == 1:
        request["instances"] = next(iter(inputs.values()))
    else:
        rows = zip(*(list(array) for array in inputs.values()), strict=True)
        request["instances"] = [dict(zip(inputs, row, strict=True)) for row in rows]
    return dumps(request)


def decode_response(body: bytes, signature: Signature) -> Tensors | list[Tensors]:
    """Read the answer to a predict request, in rows or as whole tensors.

    Gives ``Tensors``, or one ``Tensors`` for each row, with a batch axis of one, where the rows have
    unequal shapes. Raises ``InvalidInput`` for what is no answer of this dialect or signature.
    """
    answer = json.loads(body)
    known = ("predictions", "outputs")
    keys = [key for key in known if type(answer) is dict and key in answer]
    if len(keys) != 1:
        raise InvalidInput('the response has neither "predictions" nor "outputs"')
    (key,) = keys
    columns = _columns(answer[key], signature, by_row=key == "predictions")
    try:
        return {s.name: tensor(columns[s.name], s, f"{key}.{s.name}") for s in signature.outputs}
    except Ragged:
        return _rows(columns, signature.outputs, key)


def _columns(value: Any, signature: Signature, *, by_row: bool) -> dict[str, Any]:
    names = [spec.name for spec in signature.outputs]
    if len(names) == 1:
        return {names[0]: value}
    try:
        if by_row:
            return {name: [row[name] for row in value] for name in names}
        return {name: value[name] for name in names}
    except (TypeError, KeyError) as error:
        raise InvalidInput(f"an output is missing in the response: {error}") from None


def _rows(columns: dict[str, Any], specs: tuple[TensorSpec, ...], key: str) -> list[Tensors]:
    size = min((len(column) for column in columns.values()), default=0)
    return [
        {s.name: tensor([columns[s.name][i]], s, f"{key}.{s.name}", i) for s in specs}
        for i in range(size)
    ]
