"""Models that the clients ask: each a few lines, together every kind of input and answer."""

import time
from collections.abc import Iterator

import numpy as np

from inferd import Model
from inferd.core.errors import InvalidInput


class Sums(Model):
    inputs = {"x": ("float32", [-1, 4])}
    outputs = {"sum": ("float32", [-1]), "pair": ("float32", [-1, 2])}

    def predict(self, x):
        if (x < 0).any():
            raise InvalidInput("negative numbers are not summed", help="send positive ones")
        return {"sum": x.sum(axis=1), "pair": x[:, :2]}


class People(Model):
    inputs = {"age": ("int64", [-1, 1]), "city": ("string", [-1, 1])}
    outputs = {"told": ("string", [-1]), "age": ("int64", [-1])}

    def predict(self, age, city):
        told = [f"{c.decode()}: {a}" for a, c in zip(age[:, 0], city[:, 0], strict=True)]
        return {"told": told, "age": age[:, 0]}


class Bytes(Model):
    inputs = {"b": ("bytes", [-1])}
    outputs = {"b": ("bytes", [-1]), "size": ("int64", [-1])}

    def predict(self, b):
        return {"b": b, "size": np.array([len(e) for e in b])}


class Grid(Model):
    """Takes no batch."""

    inputs = {"g": ("float64", [2, 3])}
    outputs = {"t": ("float64", [3, 2])}

    def predict(self, g):
        return {"t": g.T.copy()}


class Pixels(Model):
    inputs = {"p": ("uint8", [-1, -1, -1, 3])}
    outputs = {"mean": ("float32", [-1, 3])}

    def predict(self, p):
        return p.mean(axis=(1, 2)).astype(np.float32)


class Story(Model):
    def predict(self, prompt: str, max_tokens: int = 5, seconds: float = 0.0) -> Iterator[str]:
        for number in range(max_tokens):
            time.sleep(seconds)
            if number == 50:
                raise InvalidInput("fifty is too many")
            yield f"{prompt}{number} "


class Lists(Model):
    """Answers as many of each as it is asked for."""

    inputs = {"n": ("int64", [-1])}
    outputs = {
        "texts": ("string", [-1, -1]), "numbers": ("float32", [-1, -1]), "rows": ("int64", [-1, -1, 3]),
        "one": ("int64", [-1, 1]), "bare": ("int64", [-1]),
    }  # fmt: skip

    def predict(self, n):
        count = int(n[0])
        numbers = np.arange(count)
        return {
            "texts": [[f"ü{i}" for i in range(count)]], "numbers": numbers[np.newaxis].astype(np.float32),
            "rows": np.stack([numbers] * 3, axis=1)[np.newaxis], "one": n[:, np.newaxis], "bare": n,
        }  # fmt: skip


class Slow(Model):
    inputs = {"seconds": ("float32", [-1])}
    outputs = {"slept": ("float32", [-1])}

    def predict(self, seconds):
        time.sleep(float(seconds.max()))
        return seconds
