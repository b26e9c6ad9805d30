"""Inputs that a request may leave out: their defaults, as tensors of its rows."""

from __future__ import annotations

import numpy as np

from inferd.core.constant import Unfit, constant_array
from inferd.core.errors import InvalidInput
from inferd.core.signature import Signature, TensorSpec, is_text
from inferd.core.tensor import Tensors


def default_of(spec: TensorSpec, *, batched: bool) -> np.ndarray | None:
    """Return the default of an input as an array of one example, ``None`` where it has none.

    Raises ``InvalidInput`` for one that the input cannot hold.
    """
    if spec.default is None:
        return None
    shape = spec.shape[1:] if batched else spec.shape
    try:
        if not shape and isinstance(spec.default, (list, tuple)):
            raise Unfit("is a list")
        return constant_array(spec.default, spec.dtype, shape)
    except Unfit as error:
        raise InvalidInput(
            f"input {spec.name!r} is {spec.dtype} {list(shape)}, and its default {error}",
            help="a default is the value of one example",
        ) from None


class Defaults:
    """The defaults of a signature, worked out once."""

    def __init__(self, signature: Signature) -> None:
        self._batched = signature.batched
        found = ((s.name, default_of(s, batched=signature.batched)) for s in signature.inputs)
        self._arrays = {name: array for name, array in found if array is not None}

    def fill(self, inputs: Tensors) -> bool:
        """Add what is left out and has a default, as often as there are rows; whether anything was."""
        missing = [name for name in self._arrays if name not in inputs]
        if not missing:
            return False
        rows = next((a.shape[0] for a in inputs.values() if a.ndim), 1)
        for name in missing:
            array = self._arrays[name]
            if self._batched:
                array = np.broadcast_to(array, (rows, *array.shape))
            inputs[name] = array.copy()  # a model may change what it is given
        return True


def sampled(example: Tensors, signature: Signature) -> Tensors:
    """Return a made-up example with the defaults of its inputs in the place of what was made up.

    Where every input has a default the first text (else the first input) keeps its value: a request of
    defaults alone asks nothing.
    """
    inputs = signature.inputs
    made = [spec.name for spec in inputs if spec.default is None]
    if not made:
        made = [spec.name for spec in (*filter(is_text, inputs), *inputs)][:1]
    if len(made) == len(signature.inputs):
        return example
    found = {name: example[name] for name in made}
    Defaults(signature).fill(found)
    return {spec.name: found[spec.name] for spec in signature.inputs}
