"""What a client knows of a server's models: their metadata, fetched once and kept.

The metadata of the Open Inference Protocol says names, datatypes and shapes; whether axis 0 is the
batch follows from the shapes (``core.signature.infer_batching``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inferd.codecs.oip_tensor import datatype
from inferd.core.errors import InferdError, Unavailable
from inferd.core.signature import Signature, TensorSpec, infer_batching

_KEPT = 1024


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """Metadata of a model: its versions, and the tensors it takes and gives.

    ``signature.inputs`` is empty where the server does not say what a model takes.
    """

    name: str
    versions: tuple[str, ...]
    platform: str
    signature: Signature

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs; free axes, the batch among them, are -1."""
        return self.signature.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The outputs."""
        return self.signature.outputs


def read_metadata(row: Any, name: str) -> ModelMetadata:
    """Return the metadata in a response's JSON; raises ``Unavailable`` for what is none."""
    if not isinstance(row, Mapping):
        raise Unavailable(f"the server's metadata of model {name!r} is not an object")
    try:
        signature = Signature(_specs(row.get("inputs")), _specs(row.get("outputs")))
        versions = tuple(map(str, row.get("versions") or ()))
    except (InferdError, TypeError, ValueError, AttributeError) as error:
        what = error.message if isinstance(error, InferdError) else str(error)
        raise Unavailable(f"the server's metadata of model {name!r} is not known: {what}") from None
    platform = str(row.get("platform") or "")
    return ModelMetadata(str(row.get("name", name)), versions, platform, infer_batching(signature))


def _specs(rows: Any) -> tuple[TensorSpec, ...]:
    return tuple(_spec(row) for row in rows or ())


def _spec(row: Mapping[str, Any]) -> TensorSpec:
    name = str(row.get("name"))
    # Other servers write sizes as texts or floats; the protocol has integers.
    shape = tuple(int(n) for n in row.get("shape") or ())
    return TensorSpec(name, datatype(row.get("datatype"), f"tensor {name!r}"), shape)


@dataclass(frozen=True, slots=True)
class Known:
    """Metadata and when it was fetched."""

    metadata: ModelMetadata
    at: float


class Models:
    """The metadata a client holds, by name and version. A dict: safe from any thread."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str | None], Known] = {}

    def get(self, name: str, version: str | None) -> Known | None:
        """Return what is known of a model."""
        return self._known.get((name, version))

    def put(self, name: str, version: str | None, known: Known) -> None:
        """Keep metadata."""
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[name, version] = known
