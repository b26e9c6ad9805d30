"""Codecs in a worker of their own: large bodies are read, and large answers written, elsewhere.

A large JSON body is decoded, and a large answer encoded, in a process without a model, so that
neither the front's loop nor a model's worker stands still for it.

A codec job is an ordinary entry: the tensor ``order`` holds JSON (what to do), the others the data.

- decode: ``body`` (UINT8) in; ``order`` (what the dialect read besides tensors) and ``t:<input>``
  out, or ``v:<input>`` (all rows' values, flat) and ``s:<input>`` (a row of sizes for each row)
  where rows are unequal.
- encode: ``t:<output>`` (or ``v:``, ``s:``) in; ``body`` out.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import orjson

from inferd.codecs.base import Decoded, Decoder, Encoded, Encoder
from inferd.codecs.json import MAX_DEPTH
from inferd.codecs.registry import decoder, encoder
from inferd.core.errors import DeadlineExceeded, InferdError
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature
from inferd.core.tensor import Tensors, lone
from inferd.execution.blocks import Block, each
from inferd.execution.frames import FAILED, OK, Outcome

REMEMBERED = 64


def text(value: Any) -> np.ndarray:
    """Return JSON as a BYTES tensor of one element."""
    return lone(orjson.dumps(value))


def pack(tensors: Tensors | list[Tensors]) -> Tensors:
    """Name tensors for the wire; rows of unequal shapes become values and sizes."""
    if isinstance(tensors, dict):
        return {f"t:{k}": np.ascontiguousarray(a) for k, a in tensors.items()}
    out: Tensors = {}
    for name in tensors[0]:
        rows = [row[name] for row in tensors]
        out[f"v:{name}"] = np.concatenate([r.reshape(-1) for r in rows])
        out[f"s:{name}"] = np.array([r.shape for r in rows], dtype=np.int64)
    return out


def unpack(packed: Tensors) -> Tensors | list[Tensors]:
    """Undo ``pack``."""
    whole = {k[2:]: a for k, a in packed.items() if k.startswith("t:")}
    names = [k[2:] for k in packed if k.startswith("v:")]
    if not names:
        return whole
    count = len(packed[f"s:{names[0]}"])
    rows: list[Tensors] = [{} for _ in range(count)]
    for name in names:
        values, start = packed[f"v:{name}"], 0
        for row, shape in zip(rows, packed[f"s:{name}"].tolist(), strict=True):
            size = int(np.prod(shape))
            row[name] = values[start : start + size].reshape(shape)
            start += size
    return rows


def decoded_to_wire(decoded: Decoded) -> Tensors:
    """Put a decoded request into tensors."""
    meta = {
        "single": decoded.single,
        "outputs": decoded.outputs,
        "parameters": decoded.parameters,
        "id": decoded.id,
        "priority": decoded.priority,
        "timeout": decoded.timeout,
        "form": decoded.form,
    }
    data = decoded.rows if decoded.rows is not None else decoded.inputs or {}
    return {"order": text(meta), **pack(data)}


def decoded_from_wire(packed: Tensors) -> Decoded:
    """Undo ``decoded_to_wire``."""
    meta = orjson.loads(packed["order"][0])
    data = unpack(packed)
    outputs = tuple(meta["outputs"]) if meta["outputs"] is not None else None
    return Decoded(
        data if isinstance(data, dict) else None,
        data if isinstance(data, list) else None,
        meta["single"], outputs, meta["parameters"], meta["id"], meta["priority"], meta["timeout"],
        meta["form"],
    )  # fmt: skip


def answer_to_wire(answer: bytes | Encoded) -> Tensors:
    """Put an encoded answer into tensors."""
    if type(answer) is bytes:
        return {"body": np.frombuffer(answer, dtype=np.uint8)}
    body, media, headers = cast("Encoded", answer)
    told = [
        media.decode("latin-1"),
        [[k.decode("latin-1"), v.decode("latin-1")] for k, v in headers],
    ]
    return {"body": np.frombuffer(body, dtype=np.uint8), "order": text(told)}


def answer_from_wire(packed: Tensors) -> bytes | Encoded:
    """Undo ``answer_to_wire``."""
    body = packed["body"].tobytes()
    if "order" not in packed:
        return body
    media, headers = orjson.loads(packed["order"][0])
    return Encoded(
        body, media.encode("latin-1"),
        tuple((k.encode("latin-1"), v.encode("latin-1")) for k, v in headers),
    )  # fmt: skip


class CodecProgram:
    """Runs codec jobs; has the ``run`` of a model's program."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[Decoder, Encoder]] = {}

    def run(
        self, blocks: list[Block], deadlines: Sequence[float], budget: int, shared: bool = False
    ) -> Outcome:
        """Run the entries of one job, each by itself."""
        start = time.perf_counter()
        done: list[Block] = []
        errors: dict[int, InferdError] = {}
        status = bytearray()
        for i, inputs in enumerate(each(blocks)):
            try:
                if deadlines[i] <= time.monotonic():
                    raise DeadlineExceeded("the deadline passed before the body was read")
                done.append(Block(1, self._one(inputs)))
                status.append(OK)
            except InferdError as error:
                status.append(FAILED)
                errors[i] = error
        return Outcome(bytes(status), done, errors, batch=time.perf_counter() - start)

    def _one(self, inputs: Tensors) -> Tensors:
        order = orjson.loads(inputs["order"][0])
        decode, encode = self._codec(order)
        if order["op"] == "decode":
            return decoded_to_wire(decode.decode(inputs["body"].tobytes()))
        data = unpack({k: a for k, a in inputs.items() if k != "order"})
        answer = encode.encode(
            data, order["single"], order["id"], order["model"], order["version"], order.get("form")
        )
        return answer_to_wire(answer)

    def _codec(self, order: dict[str, Any]) -> tuple[Decoder, Encoder]:
        told = [order["codec"], order["signature"], order["plan"], order.get("depth")]
        key = orjson.dumps(told)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            signature = Signature.from_json(order["signature"])
            plan = BatchPlan.from_json(order["plan"])
            name = order["codec"]
            depth = order.get("depth", MAX_DEPTH)
            found = decoder(name, signature, plan, depth), encoder(name, signature)
            self._known[key] = found
        return found
