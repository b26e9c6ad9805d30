"""The Open Inference Protocol as a client speaks it: write an infer request, read its answer.

In the binary form the numbers travel as they lie in memory, in both directions; what JSON cannot
carry (FP16, bytes that are not UTF-8) goes through, and answers are views of the body received.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inferd.codecs import json
from inferd.codecs.oip_tensor import datatype, padded, read, sizes, split, write_json, write_raw
from inferd.codecs.rawtensor import Buffer
from inferd.core.errors import InvalidInput
from inferd.core.message import Parameters
from inferd.core.tensor import DType, Tensors


def encode_request(
    inputs: Tensors,
    outputs: Sequence[str] | Mapping[str, Parameters] | None = None,
    id: str | None = None,
    parameters: Parameters | None = None,
    *,
    binary: bool = False,
) -> tuple[bytes, int | None]:
    """Return the body of an infer request, and the size of its JSON part where it is binary.

    ``outputs``: names of those wanted, perhaps with parameters for each (``{"y":
    {"classification": 3}}``); ``None``: all. A size is to be sent as
    ``Inference-Header-Content-Length``, with the type ``application/octet-stream``. Raises
    ``Unsupported`` for values that JSON cannot carry.
    """
    parts, size = encode_parts(inputs, outputs, id, parameters, binary=binary)
    return (parts[0] if len(parts) == 1 else b"".join(parts)), size  # type: ignore[return-value]  # JSON is bytes


def encode_parts(
    inputs: Tensors,
    outputs: Sequence[str] | Mapping[str, Parameters] | None = None,
    id: str | None = None,
    parameters: Parameters | None = None,
    *,
    binary: bool = False,
    dtypes: Mapping[str, DType] | None = None,
) -> tuple[list[Buffer], int | None]:
    """Do the same, the body in pieces: the JSON part, then the memory of each tensor, uncopied.

    ``dtypes``: datatypes on the wire where they are not the arrays' own (BF16, for floats).
    """
    request: dict[str, Any] = {}
    if id is not None:
        request["id"] = id
    given = dict(parameters or {})
    if binary:
        given["binary_data_output"] = True
    if given:
        request["parameters"] = given
    parts: list[Buffer] = []
    request["inputs"] = entries = []
    for name, array in inputs.items():
        if binary:
            entry, raw = write_raw(name, array, dtypes.get(name) if dtypes else None)
            parts.append(raw)
        else:
            entry = write_json(name, array)
        entries.append(entry)
    if outputs:
        asked = outputs if isinstance(outputs, Mapping) else dict.fromkeys(outputs)
        request["outputs"] = [_wanted(name, more, binary) for name, more in asked.items()]
    if not binary:
        return [json.dumps(request)], None
    head = padded(request)
    return [head, *parts], len(head)


def _wanted(name: str, more: Parameters | None, binary: bool) -> dict[str, Any]:
    # Said of each output too: not every server heeds what is said once for all of them.
    given = {**(more or {}), "binary_data": True} if binary else more
    return {"name": name, "parameters": given} if given else {"name": name}


def decode_response(body: Buffer, json_bytes: int | None = None) -> tuple[Tensors, dict[str, Any]]:
    """Return the outputs of an infer response, and its other members.

    ``json_bytes``: the value of the answer's ``Inference-Header-Content-Length``, ``None`` where it
    has none. Arrays of numbers are views of ``body`` where it is binary. Raises ``InvalidInput``
    for what is no answer of this protocol.
    """
    text, tail = split(body, json_bytes)
    response = json.loads(text)
    if type(response) is not dict or type(response.get("outputs")) is not list:
        raise InvalidInput('the response has no "outputs"')
    tensors: Tensors = {}
    for entry in response.pop("outputs"):
        if type(entry) is not dict or type(entry.get("name")) is not str:
            raise InvalidInput("an output of the response has no name")
        name = entry["name"]
        where = f"output {name!r}"
        given = entry.get("parameters") or {}
        if type(given) is not dict:
            raise InvalidInput(f"{where}: parameters must be an object")
        tensors[name] = read(
            entry, given, datatype(entry.get("datatype"), where),
            sizes(entry.get("shape"), where), tail, where,
        )  # fmt: skip
    tail.end()
    return tensors, response
