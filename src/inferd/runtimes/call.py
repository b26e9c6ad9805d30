"""One method of a user's class: how it is called with tensors, and what its hints say.

A method whose parameters are named after inputs is given those; a single parameter of another name is
given all of them as a dict. A generator may have further parameters with defaults, which are filled
from the request's parameters by name, and one called ``parameters``, which is given all of those.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from inferd.core.errors import InvalidParameter, ModelFailed, ModelFileError
from inferd.core.message import Parameters
from inferd.core.signature import TensorSpec
from inferd.core.tensor import Tensors
from inferd.runtimes.hints import Hints, Unhinted, read_hints
from inferd.runtimes.signatures import EXAMPLE

HINT = (
    'hint it, for example `def predict(self, x: Annotated[np.ndarray, "float32", (-1, 4)]) -> '
    'Annotated[np.ndarray, "float32", (-1, 3)]` or `def predict(self, texts: list[str]) -> '
    "list[float]`, or " + EXAMPLE
)
ALL = "parameters"
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


class Call:
    """One method. ``asked``: what a generator takes of the request's parameters, with defaults.

    ``hinted``: whether its hints say what it takes; they do not where it is part of an engine.
    """

    def __init__(self, method: Callable[..., Any], place: str, *, hinted: bool = True) -> None:
        self.method = method
        self.name = method.__name__
        self.place = f"{place}.{self.name}"
        if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
            raise ModelFileError(
                f"{self.place}: must not be async", help="write `def`: it runs in its own process"
            )
        self.generates = inspect.isgeneratorfunction(method)
        kinds = inspect.Parameter
        parameters = list(inspect.signature(method).parameters.values())
        self.asked: dict[str, Any] = {}
        if self.generates:
            self.asked = {
                p.name: p.default for p in parameters if p.name == ALL or p.default is not p.empty
            }
        self.names = [p.name for p in parameters if p.kind in {
            kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY, kinds.POSITIONAL_ONLY,
        } and p.name not in self.asked]  # fmt: skip
        self.needed = [
            p.name for p in parameters if p.name in self.names and p.default is p.empty
        ]  # fmt: skip
        try:
            self.hints: Hints | None = read_hints(method, skip=self.asked) if hinted else None
        except Unhinted as error:
            raise ModelFileError(f"{self.place}: {error}", help=HINT) from None
        self.each = self.hints is not None and self.hints.each

    def fits(self, inputs: tuple[TensorSpec, ...]) -> str | None:
        """Return why the method cannot be called with these inputs, or ``None``."""
        names = [s.name for s in inputs]
        if len(self.needed) <= 1 or set(self.needed) <= set(names):
            return None
        wanted, given = ", ".join(self.needed), ", ".join(names)
        return f"{self.place}: takes {wanted}, and the model's inputs are {given}"

    def __call__(self, tensors: Tensors) -> Any:
        """Call it for all rows; row by row if it is written for one example."""
        if not self.each:
            return self._once(tensors)
        rows = [self._once(part) for part in self.parts(tensors)]
        return (
            rows if not rows or not isinstance(rows[0], tuple) else tuple(zip(*rows, strict=True))
        )

    def chunks(self, tensors: Tensors, parameters: Parameters) -> Iterator[Any]:
        """Return the generator of one row; raises ``InvalidParameter`` for one of a wrong kind."""
        (part,) = self.parts(tensors)
        args, given = self._arguments(part)
        for name, default in self.asked.items():
            if name in given:
                continue
            if name == ALL:
                given[name] = dict(parameters)
            elif name in parameters:
                given[name] = fitting(name, parameters[name], default)
        found: Iterator[Any] = self.method(*args, **given)
        return found

    def parts(self, tensors: Tensors) -> list[Tensors]:
        """Return the rows of a batch as the method takes them: without batch axis if for each."""
        count = min((a.shape[0] for a in tensors.values() if a.ndim), default=0)
        parts = [{k: a[i : i + 1] for k, a in tensors.items()} for i in range(count)]
        if self.each:
            return [{k: a.reshape(a.shape[1:]) for k, a in part.items()} for part in parts]
        return parts

    def _once(self, tensors: Tensors) -> Any:
        args, given = self._arguments(tensors)
        try:
            return self.method(*args, **given)
        except SystemExit as error:
            raise ModelFailed(f"{self.name} called sys.exit({error.code!r})") from error

    def _arguments(self, tensors: Tensors) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return arguments by name where the names are inputs, else all inputs as one dict."""
        if self.needed and all(n in tensors for n in self.needed):
            given = {
                n: self._value(n, tensors[n]) for n in (*self.names, *self.asked) if n in tensors
            }
            return (), given
        if len(self.needed) == 1:
            return (dict(tensors),), {}
        raise ModelFailed(
            f"{self.name} takes {', '.join(self.needed) or 'nothing'}, and was to be given "
            f"{', '.join(tensors)}"
        )

    def _value(self, name: str, array: np.ndarray) -> Any:
        slot = self.hints.inputs.get(name) if self.hints is not None else None
        return array if slot is None else slot.value(array)


def fitting(name: str, value: Any, default: Any) -> Any:
    """Return a request's parameter in the kind of its default; raises ``InvalidParameter``."""
    kind = type(default)
    if kind not in _KINDS or type(value) is kind:
        return value
    if kind is float and type(value) is int:
        return float(value)
    if kind is int and type(value) is float and value.is_integer():
        return int(value)
    raise InvalidParameter(f"parameter {name!r} must be {_KINDS[kind]}, got {value!r:.60}")
