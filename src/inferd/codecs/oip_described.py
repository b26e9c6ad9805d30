"""What another server tells of its model: metadata and configuration to a signature and a plan. Pure.

The protocol's metadata has names, datatypes and shapes. Triton's configuration, where a server has it,
adds what metadata cannot say: whether the first axis is the batch and how large that may be
(``max_batch_size``), and whether answers come in pieces (``decoupled``). An inferd says more in it under
the parameter ``inferd`` (``oip_metadata.OWN``). Without a configuration, the batch follows from the
shapes (``core.signature.infer_batching``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from inferd.codecs import json
from inferd.codecs.oip_metadata import OWN, UNBOUNDED
from inferd.codecs.oip_tensor import datatype
from inferd.codecs.rawtensor import BF16
from inferd.core.defaults import default_of
from inferd.core.errors import InferdError, InvalidInput
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature, TensorSpec, infer_batching, parameters_of
from inferd.core.tensor import FP32, DType


@dataclass(frozen=True, slots=True)
class Described:
    """A model of another server.

    ``dtypes``: inputs whose datatype on the wire is not that of arrays. ``binary``: the server takes tensors
    as they lie in memory; ``b64``: it reads ``{"b64": ...}`` in JSON, as an inferd does.
    """

    signature: Signature
    plan: BatchPlan
    versions: tuple[str, ...] = ()
    streams: bool = False
    task: str | None = None
    classes: tuple[str, ...] = ()
    dtypes: Mapping[str, DType] = field(default_factory=dict)
    binary: bool = True
    b64: bool = False


def describe(metadata: Any, config: Any = None, server: Any = None) -> Described:
    """Return what a model's metadata and, where they are known, its configuration and the server's metadata say.

    Raises ``InvalidInput``.
    """
    if not isinstance(metadata, Mapping):
        raise InvalidInput("the model's metadata are no object")
    config = config if isinstance(config, Mapping) else {}
    try:
        dtypes: dict[str, DType] = {}
        signature = Signature(
            _specs(metadata.get("inputs"), dtypes), _specs(metadata.get("outputs"), {})
        )
        if not signature.outputs:
            raise InvalidInput("the model has no outputs")
        signature = _batched(signature, config.get("max_batch_size"))
        versions = tuple(map(str, metadata.get("versions") or ()))
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidInput(f"the model's metadata are not understood: {error}") from None
    policy = config.get("model_transaction_policy")
    streams = isinstance(policy, Mapping) and policy.get("decoupled") is True
    own = _own(config)
    signature = _with_defaults(_meant(signature, own.get("content")), own.get("defaults"))
    signature = replace(signature, parameters=parameters_of(own.get("takes")))
    plan = BatchPlan(
        signature.batched, signature.max_batch, split=streams or own.get("split") is True
    )
    task, classes = own.get("task"), own.get("classes")
    return Described(
        signature, plan, versions, streams,
        task if isinstance(task, str) else None,
        tuple(map(str, classes)) if isinstance(classes, list) else (),
        dtypes, **_forms(server),
    )  # fmt: skip


def _forms(server: Any) -> dict[str, bool]:
    """Return in which forms a server takes tensors, by its metadata."""
    if not isinstance(server, Mapping):
        return {}
    extensions = server.get("extensions")
    binary = "binary_tensor_data" in extensions if isinstance(extensions, list) else True
    return {"binary": binary, "b64": server.get("name") == OWN}


def _specs(rows: Any, dtypes: dict[str, DType]) -> tuple[TensorSpec, ...]:
    return tuple(_spec(row, dtypes) for row in rows or ())


def _spec(row: Mapping[str, Any], dtypes: dict[str, DType]) -> TensorSpec:
    name = row.get("name")
    if not isinstance(name, str) or not name:
        raise InvalidInput("a tensor of the model's metadata has no name")
    dtype = datatype(row.get("datatype"), f"tensor {name!r}")
    if dtype is BF16:
        dtypes[name], dtype = BF16, FP32
    # Other servers write sizes as texts or floats; the protocol has integers.
    shape = tuple(max(-1, int(n)) for n in row.get("shape") or ())
    return TensorSpec(name, dtype, shape)


def _batched(signature: Signature, size: Any) -> Signature:
    """Return the signature with what is known of its batch."""
    if size is None or isinstance(size, bool):
        return infer_batching(signature)
    most = int(size)
    first = [spec.shape[:1] for spec in (*signature.inputs, *signature.outputs)]
    if most <= 0 or any(axis != (-1,) for axis in first):
        return replace(signature, batched=False, max_batch=None)
    return replace(signature, batched=True, max_batch=most if most < UNBOUNDED else None)


def _own(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what an inferd says beside the protocol; nothing where it is none, or not understood."""
    given = config.get("parameters")
    text = given.get(OWN) if isinstance(given, Mapping) else None
    value = text.get("string_value") if isinstance(text, Mapping) else None
    if not isinstance(value, str):
        return {}
    try:
        found = json.loads(value.encode())
    except InferdError:
        return {}
    return found if isinstance(found, dict) else {}


def _with_defaults(signature: Signature, given: Any) -> Signature:
    """Return the signature with the defaults that are told, and that its inputs can hold."""
    if not isinstance(given, dict):
        return signature

    def known(spec: TensorSpec) -> TensorSpec:
        told = replace(spec, default=given.get(spec.name))
        try:
            default_of(told, batched=signature.batched)
        except InferdError:
            return spec
        return told

    return replace(signature, inputs=tuple(map(known, signature.inputs)))


def _meant(signature: Signature, content: Any) -> Signature:
    if not isinstance(content, dict):
        return signature
    return replace(
        signature,
        inputs=tuple(
            replace(spec, content=content[spec.name])
            if isinstance(content.get(spec.name), str)
            else spec
            for spec in signature.inputs
        ),
    )
