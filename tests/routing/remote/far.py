"""Models of the far side, written for the tests; together every kind of input and answer."""

import os
import time
from collections.abc import Iterator

import numpy as np

from inferd import Model
from inferd.core.errors import InvalidInput

NAMES = (
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16",
    "float32", "float64", "bytes",
)  # fmt: skip


class Echo(Model):
    """Every datatype; sizes are free, so they may be nothing."""

    inputs = {name: (name, [-1, -1]) for name in NAMES}
    outputs = {name + "_out": (name, [-1, -1]) for name in NAMES}

    def predict(self, inputs):
        return {name + "_out": array for name, array in inputs.items()}


class Scalars(Model):
    """Takes no batch."""

    inputs = {"n": ("int64", []), "t": ("bytes", []), "g": ("float32", [2, 3])}
    outputs = {"n": ("int64", []), "t": ("bytes", []), "g": ("float32", [3, 2])}

    def predict(self, n, t, g):
        return {"n": n + 1, "t": t, "g": g.T.copy()}


class Work(Model):
    """Sleeps, says who it is, and fails where it is told to."""

    inputs = {"seconds": ("float32", [-1])}
    outputs = {"pid": ("int64", [-1])}

    def predict(self, seconds):
        if (seconds < -1).any():
            raise InvalidInput("no time is that short", help="send a positive number")
        if (seconds < 0).any():
            raise RuntimeError("it does not like this one")
        time.sleep(float(seconds.max(initial=0)))
        return np.full(len(seconds), os.getppid())


class Sizes(Model):
    """Says in pieces how many bytes it is given, and which."""

    def predict(self, sound: bytes) -> Iterator[str]:
        yield f"{len(sound)} "
        yield sound.hex()


class Story(Model):
    def predict(self, prompt: str, max_tokens: int = 5, seconds: float = 0.0):
        for number in range(max_tokens):
            time.sleep(seconds)
            if number == 50:
                raise InvalidInput("fifty is too many")
            yield f"{prompt}{number} "
