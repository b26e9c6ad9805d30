"""Parameters of steps: one table of kinds, so that a wrong value is one kind of error everywhere.

A kind knows how a person writes a value and what the code gets. Parsing raises ``ValueError`` whose
text completes the sentence "``key``: ...".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from inferd.core.errors import InvalidInput, nearest
from inferd.core.step import Step
from inferd.core.tensor import DType, dtype_named


class StepError(Exception):
    """A step cannot be built or placed as declared; the compiler adds file, line and name."""

    def __init__(self, message: str, *, help: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.help = help


@dataclass(frozen=True, slots=True)
class Kind:
    """How a value is written (``label``, for the reference) and read."""

    label: str
    parse: Callable[[Any], Any]


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"must be a whole number, not {value!r}")  # noqa: TRY004 - parsing raises ValueError only
    return value


def _positive(value: Any) -> int:
    if _integer(value) < 1:
        raise ValueError(f"must be at least 1, not {value!r}")
    return int(value)


def _number(value: Any) -> float | int:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"must be a number, not {value!r}")  # noqa: TRY004 - parsing raises ValueError only
    if not math.isfinite(value):
        raise ValueError(f"must be a finite number, not {value!r}")
    return value


def _numbers(value: Any) -> float | int | list[float | int]:
    if not isinstance(value, (list, tuple)):
        return _number(value)
    if not value:
        raise ValueError("must not be an empty list")
    return [_number(v) for v in value]


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"must be text, not {value!r}")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {value!r}")  # noqa: TRY004 - parsing raises ValueError only
    return value


def _dtype(value: Any) -> DType:
    try:
        return dtype_named(_text(value))
    except InvalidInput as error:
        raise ValueError(f"{error.message} ({error.help})") from None


def _shape(value: Any) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError(f"must be a list of sizes such as [-1, 64], not {value!r}")
    sizes = tuple(_integer(v) for v in value)
    if any(n < -1 or n == 0 for n in sizes):
        raise ValueError(f"sizes must be positive, or -1 for a free one, not {list(value)}")
    return sizes


def _size(value: Any) -> tuple[int, int]:
    if isinstance(value, (list, tuple)):
        if len(value) != 2:
            raise ValueError(f"must be one number or [height, width], not {value!r}")
        return _positive(value[0]), _positive(value[1])
    return _positive(value), _positive(value)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError(f"must be a list that is not empty, not {value!r}")
    if any(isinstance(v, bool) or v is None for v in value):
        raise ValueError("holds a bare yes, no, true, false or null; put texts in quotes")
    if not all(isinstance(v, (str, int, float)) for v in value):
        raise ValueError("must hold texts or numbers only")
    return list(value)


def _names(value: Any) -> bool | tuple[str, ...]:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return (_text(value),)
    if isinstance(value, (list, tuple)):
        return tuple(_text(v) for v in value)
    raise ValueError(f"must be a list of names, true or false, not {value!r}")


def _name_or_false(value: Any) -> str | bool:
    if value is False:
        return False
    return _text(value)


def _fill(value: Any) -> float | int | dict[str, float | int]:
    if isinstance(value, Mapping):
        return {_text(k): _number(v) for k, v in value.items()}
    return _number(value)


INTEGER = Kind("whole number", _integer)
POSITIVE = Kind("whole number >= 1", _positive)
NUMBER = Kind("number", _number)
NUMBERS = Kind("number or list", _numbers)
TEXT = Kind("text", _text)
FLAG = Kind("true or false", _flag)
DTYPE = Kind("datatype", _dtype)
SHAPE = Kind("list of sizes", _shape)
SIZE = Kind("number or [height, width]", _size)
LIST = Kind("list", _list)
NAMES = Kind("list of names, true or false", _names)
NAME_OR_FALSE = Kind("name or false", _name_or_false)
FILL = Kind("number, or {input: number}", _fill)


def choice(*allowed: str) -> Kind:
    """Return the kind of value that is one of ``allowed``."""

    def parse(value: Any) -> str:
        if value not in allowed:
            raise ValueError(f"unknown value {value!r} ({nearest(str(value), allowed)})")
        return str(value)

    return Kind(" or ".join(f"`{a}`" for a in allowed), parse)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: name, kind, meaning for the reference, and default (``None``: not given)."""

    name: str
    kind: Kind
    doc: str
    default: Any = None
    required: bool = False


INPUT = Parameter("input", TEXT, "the tensor to work on; default: all that fit")
OUTPUT = Parameter("output", TEXT, "name of the result; default: see the step")

Args = dict[str, Any]


def parse_parameters(step: Step, parameters: tuple[Parameter, ...], short: tuple[str, ...]) -> Args:
    """Return every parameter's value: as given, or its default.

    ``short`` names the parameters a plain value may stand for, tried in order. Raises
    ``StepError`` for unknown keys (with the nearest), wrong values and missing ones.
    """
    table = {p.name: p for p in (*parameters, INPUT, OUTPUT)}
    given = _given(step.params, table, short)
    for key in given:
        if key not in table:
            raise StepError(f"unknown parameter {key!r}", help=nearest(str(key), table))
    args: Args = {}
    for name, parameter in table.items():
        if given.get(name) is None:
            if parameter.required:
                raise StepError(f"{name}: must be given ({parameter.doc})")
            args[name] = parameter.default
            continue
        try:
            args[name] = parameter.kind.parse(given[name])
        except ValueError as error:
            raise StepError(f"{name}: {error}") from None
    return args


def _given(params: Any, table: Mapping[str, Parameter], short: tuple[str, ...]) -> dict[str, Any]:
    if params is None or params is True:
        return {}
    if isinstance(params, Mapping):
        return dict(params)
    if not short:
        raise StepError(
            f"takes no plain value, got {params!r}",
            help="write the parameters as a mapping: " + ", ".join(table),
        )
    problem = ""
    for name in short:
        try:
            table[name].kind.parse(params)
        except ValueError as error:
            problem = problem or str(error)
        else:
            return {name: params}
    raise StepError(f"{short[0]}: {problem}")
