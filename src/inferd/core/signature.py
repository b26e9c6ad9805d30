"""What a model takes and gives: names, datatypes and shapes.

A shape holds one number per axis, ``-1`` where the size is free. In a *batched* signature axis 0 of
every input and output is the batch and is written as ``-1``. ``symbols`` names free axes where the
artifact does (ONNX ``dim_param``): two axes of one name always have one size, which is how an
output that follows a padded input axis is cut back to its request's own length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from inferd.core.errors import InvalidInput
from inferd.core.tensor import BYTES, DType, dtype_named


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output.

    ``content`` says what the bytes of a BYTES tensor mean where a transform decides it
    (``"image"``: an encoded image, ``"text"``: UTF-8 text), so that a dialect may accept such a
    body directly. ``default``: a JSON constant for one example, used where a request leaves the input
    out; ``None``: it must be given.
    """

    name: str
    dtype: DType
    shape: tuple[int, ...]
    symbols: tuple[str | None, ...] = ()
    content: str | None = None
    default: Any = None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form used on the worker socket and in descriptions."""
        out: dict[str, Any] = {
            "name": self.name, "dtype": self.dtype.name, "shape": list(self.shape),
        }  # fmt: skip
        if any(self.symbols):
            out["symbols"] = list(self.symbols)
        if self.content:
            out["content"] = self.content
        if self.default is not None:
            out["default"] = self.default
        return out

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> TensorSpec:
        """Build a spec from its JSON form; raises ``InvalidInput`` on nonsense."""
        try:
            name, dtype, shape = str(row["name"]), row["dtype"], row["shape"]
        except (KeyError, TypeError) as error:
            raise InvalidInput(f"a tensor needs name, dtype and shape: missing {error}") from None
        if not isinstance(shape, (list, tuple)) or not all(
            isinstance(n, int) and not isinstance(n, bool) and n >= -1 for n in shape
        ):
            raise InvalidInput(f"tensor {name!r}: shape must be a list of sizes, -1 for free axes")
        symbols = tuple(row.get("symbols") or ())
        return TensorSpec(
            name, dtype_named(str(dtype)), tuple(shape), symbols, row.get("content"), row.get("default")
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Signature:
    """Inputs and outputs of a model.

    ``batched``: axis 0 is the batch everywhere. ``max_batch`` bounds it where the artifact does
    (1 for a model exported with a fixed batch of one); ``None`` leaves it to measurement.
    ``ragged``: rows of one batch may be answered in unequal shapes. ``parameters``: the names of a request's
    parameters that it takes, where it takes no others; ``None``: it does not say.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    batched: bool = True
    max_batch: int | None = None
    ragged: bool = False
    parameters: tuple[str, ...] | None = None

    def input(self, name: str) -> TensorSpec | None:
        """Return the input of that name, or ``None``."""
        return next((s for s in self.inputs if s.name == name), None)

    def output(self, name: str) -> TensorSpec | None:
        """Return the output of that name, or ``None``."""
        return next((s for s in self.outputs if s.name == name), None)

    @property
    def lone(self) -> TensorSpec | None:
        """The input that a value without a name is for: the only one, or the only one without a default.

        Where all have a default it is the first.
        """
        needed = [spec for spec in self.inputs if spec.default is None]
        if len(needed) == 1:
            return needed[0]
        return self.inputs[0] if self.inputs and not needed else None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        out: dict[str, Any] = {
            "inputs": [s.to_json() for s in self.inputs],
            "outputs": [s.to_json() for s in self.outputs],
            "batched": self.batched,
            "max_batch": self.max_batch,
        }
        if self.ragged:
            out["ragged"] = True
        if self.parameters is not None:
            out["parameters"] = list(self.parameters)
        return out

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> Signature:
        """Build a signature from its JSON form (or a ``model.yaml`` section)."""
        return Signature(
            tuple(TensorSpec.from_json(s) for s in row.get("inputs") or ()),
            tuple(TensorSpec.from_json(s) for s in row.get("outputs") or ()),
            bool(row.get("batched", True)),
            row.get("max_batch"),
            bool(row.get("ragged")),
            parameters_of(row.get("parameters")),
        )


def parameters_of(names: Any) -> tuple[str, ...] | None:
    """Return the names of parameters that a signature's JSON form lists, ``None`` where it lists none."""
    return tuple(map(str, names)) if isinstance(names, list) else None


def infer_batching(signature: Signature) -> Signature:
    """Decide ``batched`` and ``max_batch`` for shapes as the artifact states them.

    Axis 0 free everywhere: batched. Axis 0 fixed to one everywhere: batched, one at a time, and
    written as ``-1`` outside. Anything else: not batched, shapes as they are.
    """
    specs = (*signature.inputs, *signature.outputs)
    if not specs or any(not s.shape for s in specs):
        return replace(signature, batched=False, max_batch=None)
    if all(s.shape[0] == -1 for s in specs):
        return replace(signature, batched=True)
    if all(s.shape[0] in (1, -1) for s in specs):

        def free(spec: TensorSpec) -> TensorSpec:
            return replace(spec, shape=(-1, *spec.shape[1:]))

        return replace(
            signature,
            inputs=tuple(map(free, signature.inputs)),
            outputs=tuple(map(free, signature.outputs)),
            batched=True,
            max_batch=1,
        )
    return replace(signature, batched=False, max_batch=None)


def is_text(spec: TensorSpec) -> bool:
    """Return whether the tensor carries texts a person would read."""
    return spec.dtype is BYTES and spec.content in (None, "text")
