"""Checking a request's tensors against the external signature, once per shape.

The result of the check, a ``Layout``, depends on names, datatypes and shapes only, so it is
remembered under them: a request of a known shape costs one dict look-up. What a request leaves out and
has a default is added to it here, whichever way it came.
"""

from __future__ import annotations

from inferd.core.defaults import Defaults
from inferd.core.errors import InvalidInput, nearest
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES, Tensors, dtype_of
from inferd.execution.layout import Layout

REMEMBERED = 1024
EMPTY_ROWS = 1 << 14
EMPTY_AXIS = 1 << 24
"""Sizes that a tensor without elements may claim, as the bytes of a body do not bound them: rows
(each is work, and a part of an answer), and any other free axis."""


class Validator:
    """Gives the layout of a request, or raises ``InvalidInput``."""

    def __init__(self, signature: Signature, plan: BatchPlan) -> None:
        self._signature = signature
        self._plan = plan
        self._known: dict[object, Layout] = {}
        self._varies = any(s.dtype is BYTES for s in signature.inputs)
        self._defaults = Defaults(signature)

    def layout(self, inputs: Tensors) -> Layout:
        """Return the layout of ``inputs``; equal shapes give the same object.

        Inputs that are left out and have a default are added to ``inputs``.
        """
        if len(inputs) == 1:
            ((name, array),) = inputs.items()
            key: object = (name, array.shape, array.dtype)
        else:
            key = tuple((n, a.shape, a.dtype) for n, a in inputs.items())
        found = self._known.get(key)
        if found is None:
            if self._defaults.fill(inputs):
                return self.layout(inputs)
            found = self._check(inputs)
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[key] = found
        return found

    def measure(self, inputs: Tensors, layout: Layout) -> tuple[int, int]:
        """Return (payload bytes, length) where they vary within a layout."""
        if not self._varies:
            return layout.nbytes, layout.length
        from inferd.core.tensor import nbytes

        size = sum(nbytes(a) for a in inputs.values())
        return size, self._plan.size(inputs)

    def _check(self, inputs: Tensors) -> Layout:
        signature, plan = self._signature, self._plan
        rows: int | None = None
        for name in inputs:
            if signature.input(name) is None:
                allowed = [s.name for s in signature.inputs]
                raise InvalidInput(f"unknown input {name!r}", help=nearest(name, allowed))
        for spec in signature.inputs:
            array = inputs.get(spec.name)
            if array is None:
                raise InvalidInput(f"input {spec.name!r} is missing")
            if dtype_of(array) is not spec.dtype:
                raise InvalidInput(
                    f"input {spec.name!r} has datatype {dtype_of(array)}, expected {spec.dtype}"
                )
            _check_shape(spec, array.shape)
            if not array.size:
                _check_empty(spec, array.shape, batched=plan.batched)
            if plan.batched:
                if rows is not None and array.shape[0] != rows:
                    raise InvalidInput(
                        f"input {spec.name!r} has {array.shape[0]} rows, others have {rows}"
                    )
                rows = array.shape[0]
        size = 0 if self._varies else sum(int(a.nbytes) for a in inputs.values())
        if not plan.batched:
            return Layout(1, None, 1, size)
        varies = plan.length is not None and inputs[plan.length[0]].dtype.hasobject
        length = -1 if varies else plan.size(inputs)
        return Layout(rows or 0, plan.key(inputs), length, size)


def _check_shape(spec: TensorSpec, shape: tuple[int, ...]) -> None:
    if len(shape) != len(spec.shape) or any(
        want not in (-1, got) for want, got in zip(spec.shape, shape, strict=False)
    ):
        raise InvalidInput(
            f"input {spec.name!r} has shape {list(shape)}, expected {list(spec.shape)}",
            help="-1 stands for any size",
        )


def _check_empty(spec: TensorSpec, shape: tuple[int, ...], *, batched: bool) -> None:
    for axis, (want, got) in enumerate(zip(spec.shape, shape, strict=True)):
        most = EMPTY_ROWS if batched and axis == 0 else EMPTY_AXIS
        if want < 0 and got > most:
            raise InvalidInput(
                f"input {spec.name!r} of shape {list(shape)} holds nothing; its axis {axis} may be "
                f"{most} long at most"
            )
