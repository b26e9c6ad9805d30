"""One function of a pipeline: what its hints say it takes and gives, for one example.

There is no batch axis: ``Annotated[np.ndarray, "float32", (-1, 4)]`` is a table, ``float`` a single
number, ``list[str]`` a list of texts. ``list[Annotated[np.ndarray, ...]]`` is a list of arrays, which may
differ in shape. What is returned has one name for each key of a ``TypedDict``, else it is ``output``.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from inferd.core.errors import InferdError, InvalidInput, ModelFailed, ModelFileError
from inferd.core.qualified import MAX_ELEMENTS
from inferd.core.signature import TensorSpec
from inferd.core.tensor import Tensors, is_uneven, uneven
from inferd.runtimes.hints import OUTPUT, Slot, Unhinted, slot_of
from inferd.runtimes.returned import to_array

HINT = (
    "hint what it takes and returns, for one example and without a batch axis: `def crop(image: "
    'Annotated[np.ndarray, "uint8", (-1, -1, 3)], boxes: list[list[float]]) -> Crops`, where Crops is a '
    "TypedDict with a hint for each output"
)


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output. ``many``: a list of arrays, each as ``slot`` says; ``spec`` is the whole's."""

    spec: TensorSpec
    slot: Slot
    many: bool = False

    def taken(self, array: np.ndarray) -> Any:
        """Return what the function is called with; raises ``InvalidInput``."""
        if not self.many:
            return self.slot.value(array)
        return [self.slot.value(np.asarray(one)) for one in array]

    def given(self, value: Any) -> np.ndarray:
        """Return what the function returned as a tensor; raises ``ValueError``."""
        if not self.many:
            return fitting(to_array(value, self.spec.dtype), self.spec)
        if isinstance(value, np.ndarray) and not is_uneven(value):
            value = list(value) if value.ndim else [value]
        if not isinstance(value, (Sequence, np.ndarray)) or isinstance(value, (str, bytes)):
            raise ValueError(f"is a {type(value).__name__}, and a list is declared")  # noqa: TRY004
        if len(value) > MAX_ELEMENTS:
            raise ValueError(f"holds {len(value)} arrays, over {MAX_ELEMENTS}")
        one = self.slot.spec
        return uneven([fitting(to_array(v, one.dtype), one) for v in value])


def fitting(array: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """Return an array that has the declared shape; raises ``ValueError``."""
    same = array.ndim == len(spec.shape) and all(
        want in (-1, got) for want, got in zip(spec.shape, array.shape, strict=True)
    )
    if not same:
        raise ValueError(f"has the shape {list(array.shape)}, and {list(spec.shape)} is declared")
    return array


class Function:
    """A function as a step. ``inputs`` and ``outputs`` by name; lists of arrays are in ``uneven``."""

    def __init__(self, function: Any, reference: str, given: Collection[str]) -> None:
        """Read the hints. ``given``: the inputs it will be called with; defaults may be left out.

        Raises ``ModelFileError`` naming file and function.
        """
        self.place = _place(function, reference)
        self._function = function
        self._name = str(getattr(function, "__name__", reference))
        _check_kind(function, self.place)
        try:
            hints = typing.get_type_hints(function, include_extras=True)
            self._inputs = {
                p.name: port(p.name, hints.get(p.name))
                for p in _parameters(function, self.place)
                if p.default is p.empty or p.name in given
            }
            self._outputs = _outputs(hints.get("return"))
        except (Unhinted, InvalidInput) as error:
            raise ModelFileError(f"{self.place}: {error}", help=HINT) from None
        except InferdError:
            raise
        except Exception as error:  # a hint may be any expression
            told = f"{self.place}: its type hints cannot be read: {error}"
            raise ModelFileError(told, help=HINT) from None
        if not self._inputs:
            raise ModelFileError(f"{self.place}: takes nothing, so nothing can feed it", help=HINT)
        self.inputs = tuple(p.spec for p in self._inputs.values())
        self.outputs = tuple(p.spec for p in self._outputs.values())
        ports = (*self._inputs.values(), *self._outputs.values())
        self.uneven = frozenset(p.spec.name for p in ports if p.many)
        for one in ports:
            if one.spec.name in self.uneven and not one.many:
                raise ModelFileError(
                    f"{self.place}: {one.spec.name!r} is a list of arrays on one side and none on the other",
                    help="give the output another name",
                )

    def __call__(self, tensors: Tensors) -> Tensors:
        """Call it for one example; its errors pass, what it returned wrongly is ``ModelFailed``."""
        given = {name: port.taken(tensors[name]) for name, port in self._inputs.items()}
        try:
            returned = self._function(**given)
        except SystemExit as error:
            raise ModelFailed(f"{self._name} called sys.exit({error.code!r})") from error
        try:
            return self._named(returned)
        except ValueError as error:
            raise ModelFailed(f"what {self._name} returned {error}") from None

    def _named(self, returned: Any) -> Tensors:
        if returned is None:
            raise ValueError("is None: a return statement may be missing")
        if (
            OUTPUT in self._outputs
            and len(self._outputs) == 1
            and not isinstance(returned, Mapping)
        ):
            return {OUTPUT: self._outputs[OUTPUT].given(returned)}
        if not isinstance(returned, Mapping):
            names = ", ".join(self._outputs)
            raise ValueError(f"is a {type(returned).__name__}, and the outputs are {names}")  # noqa: TRY004
        out: Tensors = {}
        for name, one in self._outputs.items():
            if name not in returned:
                there = ", ".join(map(str, returned)) or "nothing"
                raise ValueError(f"lacks the output {name!r} (it has {there})")
            try:
                out[name] = one.given(returned[name])
            except ValueError as error:
                raise ValueError(f"is wrong in the output {name!r}: it {error}") from None
        return out


def port(name: str, hint: Any) -> Port:
    """Return the tensor of a hint; raises ``Unhinted`` where it says too little."""
    if hint is None:
        raise Unhinted(f"nothing says what {name!r} is")
    if "/" in name or "[" in name or "." in name:
        raise Unhinted(f"{name!r} is no name for an output of a step")
    element = _element(hint)
    if element is None:
        slot = slot_of(name, hint)
        return Port(slot.spec, slot)
    slot = slot_of(name, element)
    return Port(replace(slot.spec, shape=(-1, *slot.spec.shape)), slot, many=True)


def _element(hint: Any) -> Any:
    """Return the hint of an element of a list of arrays, ``None`` for any other hint."""
    if typing.get_origin(hint) is not list:
        return None
    (inner,) = typing.get_args(hint) or (None,)
    base = typing.get_args(inner)[0] if typing.get_origin(inner) is typing.Annotated else inner
    array = base is np.ndarray or typing.get_origin(base) is np.ndarray
    return inner if array else None


def _outputs(hint: Any) -> dict[str, Port]:
    if hint is None or hint is type(None):
        raise Unhinted("nothing says what it returns")
    rows: Mapping[str, Any] | None = None
    if typing.is_typeddict(hint):
        rows = typing.get_type_hints(hint, include_extras=True)
    elif typing.get_origin(hint) is typing.Annotated and typing.get_args(hint)[0] is dict:
        rows = next((n for n in typing.get_args(hint)[1:] if isinstance(n, Mapping)), None)
    if rows is None:
        return {OUTPUT: port(OUTPUT, hint)}
    if not rows:
        raise Unhinted("the dict it returns has no keys")
    return {str(name): port(str(name), inner) for name, inner in rows.items()}


def _check_kind(function: Any, place: str) -> None:
    if isinstance(function, type) or not callable(function):
        what = "a class" if isinstance(function, type) else f"a {type(function).__name__}"
        raise ModelFileError(f"{place}: is {what}, and a step is a function")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise ModelFileError(
            f"{place}: must not be async", help="write `def`: it has its own process"
        )
    if inspect.isgeneratorfunction(function):
        raise ModelFileError(
            f"{place}: is a generator, and a step returns its answer as one",
            help="make it a Python model whose `predict` yields, and name that as the last step",
        )


def _parameters(function: Any, place: str) -> list[inspect.Parameter]:
    found = list(inspect.signature(function).parameters.values())
    only = [p.name for p in found if p.kind is p.POSITIONAL_ONLY]
    if only:
        raise ModelFileError(
            f"{place}: {only[0]!r} has no name for the caller",
            help="take the `/` out: inputs go by name",
        )
    return [p for p in found if p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY}]


def _place(function: Any, reference: str) -> str:
    """Return ``file: function`` as messages name it."""
    code = getattr(inspect.unwrap(function) if callable(function) else function, "__code__", None)
    name = reference.partition(":")[2]
    return f"{code.co_filename}:{code.co_firstlineno}: {name}" if code is not None else reference
