"""Inputs that ended a worker while alone in it, refused for a while.

Bounded, expiring, and gone with the version. Nothing is hashed while the quarantine is empty, and
then only inputs of a size that is held.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

import numpy as np

from inferd.core.clock import Clock
from inferd.core.tensor import Tensors, as_bytes, nbytes

CAPACITY = 1024
LIFETIME = 600.0


def digest(inputs: Tensors) -> bytes:
    """Return a digest of names, datatypes, shapes and contents."""
    state = hashlib.blake2b(digest_size=16)
    for name in sorted(inputs):
        array = inputs[name]
        state.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        if array.dtype.hasobject:
            for element in array.flat:
                data = as_bytes(element)
                state.update(len(data).to_bytes(8, "little") + data)
        else:
            state.update(np.ascontiguousarray(array).data)
    return state.digest()


class Quarantine:
    """Digests of inputs that must not run."""

    def __init__(self, clock: Clock, capacity: int = CAPACITY, lifetime: float = LIFETIME) -> None:
        self._clock = clock
        self._capacity = capacity
        self._lifetime = lifetime
        self._held: OrderedDict[bytes, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def add(self, inputs: Tensors) -> None:
        """Hold an input; the oldest goes where there are too many."""
        key = digest(inputs)
        self._held.pop(key, None)  # the order of the dict is the order of expiry
        self._held[key] = (_size(inputs), self._clock() + self._lifetime)
        while len(self._held) > self._capacity:
            self._held.popitem(last=False)

    def holds(self, inputs: Tensors) -> bool:
        """Whether this very input is held."""
        if not self._held:
            return False
        now = self._clock()
        while self._held:
            first = next(iter(self._held))
            if self._held[first][1] > now:
                break
            del self._held[first]
        size = _size(inputs)
        if not any(held == size for held, _ in self._held.values()):
            return False
        return digest(inputs) in self._held


def _size(inputs: Tensors) -> int:
    return sum(nbytes(a) for a in inputs.values())
