"""The answer of a call: arrays by output name, and what is known of how they came about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from inferd.client.foreign import library
from inferd.core.errors import InvalidInput, nearest
from inferd.core.tensor import Tensors, as_bytes

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?")


class Result(Mapping[str, np.ndarray]):
    """Outputs by name. One example's arrays have no batch axis, a batch has it on axis 0.

    Texts and bytes are arrays of ``bytes`` objects; ``text`` gives them as ``str``.

    Attributes:
        model: who answered, and in which ``version`` (empty where the server does not say).
        id: the id given with the request, echoed in the answer's body.
        request_id: the id of the request in the server's log, where it has one.
        parameters: what else the model or the server answered.
        timings: seconds in each stage of the server, where they were asked for.
    """

    __slots__ = (
        "_index", "_outputs", "_single", "id", "model", "parameters", "request_id", "timings",
        "version",
    )  # fmt: skip

    def __init__(
        self,
        outputs: Tensors,
        *,
        model: str = "",
        version: str = "",
        id: str | None = None,
        request_id: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        timings: Mapping[str, float] | None = None,
        single: bool = False,
        index: Any = None,
    ) -> None:
        self._outputs = outputs
        self._single = single
        self._index = index
        self.model = model
        self.version = version
        self.id = id
        self.request_id = request_id
        self.parameters = dict(parameters or {})
        self.timings = dict(timings or {})

    def __getitem__(self, name: str) -> np.ndarray:
        return self._outputs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._outputs)

    def __len__(self) -> int:
        return len(self._outputs)

    def __repr__(self) -> str:
        told = ", ".join(f"{name}: {a.dtype} {list(a.shape)}" for name, a in self._outputs.items())
        return f"Result({told}; model={self.model!r}, version={self.version!r})"

    @property
    def value(self) -> Any:
        """The only output: its array, or its value where it has no axes.

        Raises ``InvalidInput`` where there are several.
        """
        return self._outputs[self._lone("value")][()]

    def text(self, name: str | None = None) -> Any:
        """Return an output of texts as ``str``: an array of them, or one where it has no axes.

        ``name`` may be left out where one output holds texts. Raises ``InvalidInput`` for an output
        of numbers and for bytes that are not UTF-8.
        """
        name = name if name is not None else self._lone("text", texts=True)
        array = self._outputs.get(name)
        if array is None:
            raise InvalidInput(f"no output named {name!r}", help=nearest(name, self._outputs))
        if not array.dtype.hasobject:
            raise InvalidInput(f"output {name!r} holds {array.dtype.name}, no texts")
        texts = np.empty(array.shape, object)
        for index, element in enumerate(array.flat):
            try:
                texts.flat[index] = as_bytes(element).decode()
            except UnicodeDecodeError:
                raise InvalidInput(
                    f"output {name!r} holds bytes that are not UTF-8",
                    help=f"result[{name!r}] has them as bytes",
                ) from None
        return texts[()]

    def to_pandas(self) -> Any:
        """Return a pandas DataFrame with a row for each example, its index that of the inputs.

        An output of one value for each example is a column; one of ``k`` values is the columns
        ``name_0`` to ``name_{k-1}``; one of more axes is a column of arrays. Texts are ``str``.
        """
        pandas = library("pandas", "pandas", "to_pandas()")
        columns: dict[str, Any] = {}
        for name, array in self._outputs.items():
            columns.update(_columns(name, array[np.newaxis] if self._single else array))
        sizes = {len(column) for column in columns.values()}
        if len(sizes) > 1:
            raise InvalidInput("the outputs have unequal numbers of rows, which is no table")
        index = self._index if self._index is not None and {len(self._index)} == sizes else None
        return pandas.DataFrame(columns, index=index)

    def _lone(self, what: str, *, texts: bool = False) -> str:
        names = [n for n, a in self._outputs.items() if not texts or a.dtype.hasobject]
        if len(names) != 1:
            found = ", ".join(map(repr, self._outputs)) or "none"
            raise InvalidInput(
                f".{what} is for one output{' of texts' if texts else ''}; there are {len(names)}",
                help=f"take an output by its name; there are: {found}",
            )
        return names[0]


def _columns(name: str, array: np.ndarray) -> dict[str, Any]:
    if array.ndim == 0:
        array = array.reshape(1)
    if array.dtype.hasobject:
        shown = [_shown(element) for element in array.ravel().tolist()]
        texts = np.empty(len(shown), object)
        texts[:] = shown
        array = texts.reshape(array.shape)
    rows = len(array)
    if array.ndim == 1 or array.size == rows:
        return {name: array.reshape(rows)}
    if array.ndim == 2:
        return {f"{name}_{i}": array[:, i] for i in range(array.shape[1])}
    return {name: list(array)}


def _shown(element: object) -> object:
    data = as_bytes(element)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def timings_of(header: str | None) -> dict[str, float]:
    """Return the stages of a ``Server-Timing`` header, in seconds.

    Source: W3C Server Timing; ``dur`` is in milliseconds.
    """
    found: dict[str, float] = {}
    for stage in _QUOTED.sub("", header or "").split(","):
        name, *parameters = (part.strip() for part in stage.split(";"))
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip().lower() == "dur" and _NUMBER.fullmatch(value.strip()):
                found[name] = float(value) / 1e3
    return found


def stripped(outputs: Tensors, *, single: bool) -> Tensors:
    """Return outputs without their batch axis where the question was one example."""
    if not single:
        return outputs
    # Where the server did not say that outputs are batched, one of another size is kept whole.
    return {
        name: array[0, ...] if array.ndim and array.shape[0] == 1 else array
        for name, array in outputs.items()
    }
