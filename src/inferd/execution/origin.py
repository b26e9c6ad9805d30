"""Who a model is and where it was written down: what a message about loading it must name.

A runtime and user code know neither the model's name nor the lines of its ``model.yaml``; whatever
they raise is given both here. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from inferd.core.errors import InferdError, ModelFileError, from_kind
from inferd.core.signature import Signature, TensorSpec

_CODE = ("class", "factory")


@dataclass(frozen=True, slots=True)
class Origin:
    """One version as its messages name it.

    ``file``: the artifact, else the directory of its code. ``places``: ``file:line`` by key of
    ``model.yaml``. ``options``: what the runtime is given. ``by_class``: a Python class may declare.
    """

    label: str
    file: str
    places: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    by_class: bool = False

    @staticmethod
    def of(spec: Mapping[str, Any]) -> Origin:
        """Build it from ``ModelSpec.to_json``."""
        options = spec["options"]
        return Origin(
            f"{spec['name']} v{spec['version']}",
            str(spec["artifact"] or spec["directory"]),
            options.get("places") or {},
            options,
            spec["runtime"] == "python",
        )

    def __str__(self) -> str:
        return f"model {self.label} ({self.file})"

    def output(self, name: str) -> str | None:
        """Return where an output is declared; ``None``: only the artifact itself speaks of it."""
        place = self.places.get(f"signature.outputs.{name}")
        if place is None and (self.options.get("signature") or {}).get("outputs"):
            place = "model.yaml"
        if place is None and self.by_class:
            place = f"`outputs` or the type hints of {self.options.get('class') or self.file}"
        return place

    def inputs(self) -> str | None:
        """Return where the inputs are declared, if ``model.yaml`` does."""
        found = [place for key, place in self.places.items() if key.startswith("signature.inputs.")]
        return found[0] if found else None

    def placed(self, error: InferdError) -> InferdError:
        """Return an error of the runtime with file, line and key, or with model and file."""
        text = error.message
        key = self._key(error)
        if any(place in text for place in self.places.values()):
            return error
        if key is None and (self.label in text or self.file in text):
            return error
        place = f"{self.places[key]}: {key}" if key else str(self)
        return from_kind(error.kind, f"{place}: {text}", error.help or _help(key))

    def declared(self, error: InferdError) -> InferdError:
        """Return an error about the signature with file and line, or with model and file."""
        if not error.message.startswith("signature: "):
            return error
        place = self.places.get("signature") or str(self)
        return from_kind(error.kind, f"{place}: {error.message}", error.help)

    def _key(self, error: InferdError) -> str | None:
        """Return the key of ``model.yaml`` that an error is about."""
        cause = error.__cause__
        refused = isinstance(cause, TypeError) and "argument" in str(cause)
        if refused and "parameters" in self.places:
            return "parameters"
        for key in _CODE:
            if key in self.places and str(self.options.get(key)) in error.message:
                return key
        return None


def _help(key: str | None) -> str | None:
    return "write the keyword arguments that it takes" if key == "parameters" else None


def check_signature(signature: Signature, origin: Origin) -> None:
    """Refuse what no request could be made for. Raises ``ModelFileError``."""
    if not signature.inputs:
        raise ModelFileError(
            f"{origin}: has no inputs, so there is nothing to ask it",
            help="export it with what changes from request to request as inputs",
        )
    if not signature.outputs:
        raise ModelFileError(f"{origin}: has no outputs, so there is nothing to answer")
    for spec in signature.inputs:
        if 0 in spec.shape:
            raise ModelFileError(
                f"{origin}: the input {_shown(spec)} has an axis of size 0, which holds nothing",
                help="make it -1, an axis of any size, where the input is declared",
            )


def _shown(spec: TensorSpec) -> str:
    return f"{spec.name!r}, {spec.dtype} {list(spec.shape)},"
