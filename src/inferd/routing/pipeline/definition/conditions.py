"""Conditions: ``when: detect.count > 0``, parsed by Python's own parser and nothing of it evaluated.

Names of values are taken out of the text first, for a step may be called ``read-text``; what is left is
parsed, walked against a short list of forms, and becomes a closure. Comparisons, ``and``, ``or``, ``not``,
``in``, ``len(x)``, numbers, texts, ``True`` and ``False``; no arithmetic, no calls, no attributes.

A value of one element stands for that element; BYTES are texts, kept as their UTF-8 bytes: a file that is
no text is compared, and its length asked for, without being read as one. A larger one can only be asked for its length, or whether something is in it.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from inferd.core.errors import ConfigError, InferdError, InvalidInput, ModelFailed
from inferd.core.tensor import as_bytes
from inferd.routing.pipeline.spec import Condition, Ref

MAX_TEXT = 1000
MAX_DEPTH = 20
MAX_REFS = 50
HELP = (
    "a condition compares values: step.output > 0, name == 'en', 'x' in step.labels, len(step.boxes) > 0; "
    "several with and, or, not"
)

_TOKEN = re.compile(
    r"""(?P<string>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")"""
    r"|(?P<number>\d[\w.]*|\.\d[\w.]*)"
    r"|(?P<name>[A-Za-z_]\w*(?:-\w+)*(?:\.\w+(?:-\w+)*)*)"
    r"|(?P<space>\s+)"
    r"|(?P<sign>==|!=|<=|>=|[<>()\[\],-])",
    re.ASCII,
)
_WORDS = frozenset(
    ("and", "or", "not", "in", "True", "False", "len", "None", "is", "if", "else", "lambda")
)
"""Words that are no names of values; those that are not offered are refused where they stand."""

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}

Values = Mapping[Ref, Any]
Eval = Callable[[Values], Any]
FindRef = Callable[[str, str], Ref]
"""Gives the value that a name stands for (name, place for messages); raises ``ConfigError``."""


class _Refused(Exception):
    """Why a condition is none."""


class _Unfit(Exception):
    """Why values cannot be tested."""


def parse_condition(text: str, where: str, find: FindRef) -> Condition:
    """Return the condition that ``text`` is.

    Raises ``ConfigError``, naming ``where``, for anything but the forms above, and whatever ``find`` raises.
    """
    try:
        if len(text) > MAX_TEXT:
            raise _Refused(f"is {len(text)} characters long, over {MAX_TEXT}")
        refs: list[Ref] = []
        tree = _tree(_without_names(text, where, find, refs))
        walk = _Walk(refs)
        test = walk.truth(tree, 0)
    except _Refused as error:
        raise ConfigError(f"{where}: the condition {_short(text)!r} {error}", help=HELP) from None
    return Condition(
        text.strip(), tuple(dict.fromkeys(refs)), _guarded(test, text, refs), where,
        frozenset(walk.single), frozenset(walk.lists), _misfit(tuple(walk.tests)),
    )  # fmt: skip


def _without_names(text: str, where: str, find: FindRef, refs: list[Ref]) -> str:
    """Return ``text`` with ``_0``, ``_1`` ... in the place of names, which are added to ``refs``."""
    out: list[str] = []
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _Refused(f"has {text[at]!r}, which stands in no condition")
        at, piece = found.end(), found[0]
        if found.lastgroup == "space":
            piece = " "
        elif found.lastgroup == "name" and piece not in _WORDS:
            if len(refs) >= MAX_REFS:
                raise _Refused(f"looks at more than {MAX_REFS} values")
            refs.append(find(piece, where))
            piece = f"_{len(refs) - 1}"
        out.append(piece)
    if not refs:
        raise _Refused("looks at no value")
    return "".join(out).strip()


def _tree(source: str) -> ast.expr:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about escapes and numbers, which are our own concern
            return ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise _Refused("is no expression") from None


def _guarded(test: Eval, text: str, refs: list[Ref]) -> Callable[[Values], bool]:
    """Return ``test`` with errors that name the condition, and whose fault it is."""
    blamed: type[InferdError] = ModelFailed if any(r.step for r in refs) else InvalidInput
    shown = _short(text)

    def guarded(values: Values) -> bool:
        try:
            return bool(test(values))
        except _Unfit as error:
            raise blamed(f"the condition {shown!r} cannot be tested: {error}") from None

    return guarded


def _misfit(tests: tuple[Eval, ...]) -> Callable[[Values], str | None]:
    """Return what says why values cannot be tested, whichever way the whole test goes."""

    def misfit(values: Values) -> str | None:
        try:
            for test in tests:
                test(values)
        except _Unfit as error:
            return str(error)
        return None

    return misfit


@dataclass(slots=True)
class _Walk:
    """Makes closures of the tree's nodes; remembers how each value is used, and each comparison."""

    refs: list[Ref]
    single: set[Ref] = field(default_factory=set)
    lists: set[Ref] = field(default_factory=set)
    tests: list[Eval] = field(default_factory=list)

    def truth(self, node: ast.expr, depth: int) -> Eval:
        """Return the test of ``node``, which is taken for true or false."""
        if depth > MAX_DEPTH:
            raise _Refused(f"is more than {MAX_DEPTH} levels deep")
        match node:
            case ast.BoolOp(op=ast.And(), values=parts):
                tests = [self.truth(part, depth + 1) for part in parts]
                return lambda values: all(test(values) for test in tests)
            case ast.BoolOp(op=ast.Or(), values=parts):
                tests = [self.truth(part, depth + 1) for part in parts]
                return lambda values: any(test(values) for test in tests)
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                test = self.truth(inner, depth + 1)
                return lambda values: not test(values)
            case ast.Compare():
                return self._compare(node)
            case _:
                value = self._one(node)
                return lambda values: bool(value(values))

    def _compare(self, node: ast.Compare) -> Eval:
        """Return the test of a comparison, chained ones too: each pair must hold."""
        pairs: list[Eval] = []
        left = node.left
        for op, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, (ast.In, ast.NotIn)):
                pairs.append(_member(self._one(left), self._many(right), isinstance(op, ast.In)))
            elif type(op) in _COMPARE:
                pairs.append(_ordered(_COMPARE[type(op)], self._one(left), self._one(right)))
            else:
                raise _Refused("uses a comparison that is not offered")
            left = right
        self.tests += pairs
        return pairs[0] if len(pairs) == 1 else lambda values: all(p(values) for p in pairs)

    def _one(self, node: ast.expr) -> Eval:
        """Return what gives the one number, text or truth value that ``node`` stands for."""
        match node:
            case ast.Constant():
                constant = _constant(node)
                return lambda values: constant
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant() as inner):
                positive = _constant(inner)
                if isinstance(positive, (bytes, bool)):
                    raise _Refused("has a minus before what is no number")
                return lambda values: -positive
            case ast.Name():
                ref = self._ref(node)
                self.single.add(ref)
                return lambda values: _element(values[ref], ref)
            case ast.Call(func=ast.Name(id="len"), args=[ast.Name() as inner], keywords=[]):
                ref = self._ref(inner)
                self.lists.add(ref)
                return lambda values: _length(values[ref], ref)
            case ast.Call(func=ast.Name(id="len")):
                raise _Refused("must ask for the length of one value: len(step.output)")
            case ast.List() | ast.Tuple():
                raise _Refused("has a list where one value is needed; lists stand after in")
            case ast.BoolOp() | ast.Compare() | ast.UnaryOp(op=ast.Not()):
                raise _Refused("compares what is true or false; join comparisons with and, or")
            case _:
                raise _Refused("holds more than comparisons of values")

    def _many(self, node: ast.expr) -> Eval:
        """Return what gives the collection that stands after ``in``."""
        match node:
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                parts = [self._one(e) for e in elements if not isinstance(e, (ast.Name, ast.Call))]
                if len(parts) < len(elements):
                    raise _Refused("has a list of something other than numbers and texts")
                members = [part({}) for part in parts]
                return lambda values: members
            case ast.Constant(value=str() as text):
                data = _encoded(text)
                return lambda values: data
            case ast.Name():
                ref = self._ref(node)
                self.lists.add(ref)
                return lambda values: _members(values[ref], ref)
            case _:
                raise _Refused("needs a list, a text or a value after in")

    def _ref(self, node: ast.Name) -> Ref:
        if not node.id.startswith("_"):
            raise _Refused(f"uses {node.id} for a value")
        return self.refs[int(node.id[1:])]


def _constant(node: ast.Constant) -> bool | float | bytes:
    value = node.value
    if isinstance(value, str):
        return _encoded(value)
    if isinstance(value, (bool, int, float)):
        return value
    raise _Refused(f"has a constant that is no number, text or truth value: {_short(repr(value))}")


def _ordered(compare: Callable[[Any, Any], bool], left: Eval, right: Eval) -> Eval:
    def test(values: Values) -> bool:
        a, b = left(values), right(values)
        try:
            return compare(a, b)
        except TypeError:
            raise _Unfit(f"{_kind(a)} and {_kind(b)} have no order") from None

    return test


def _member(item: Eval, collection: Eval, wanted: bool) -> Eval:
    def test(values: Values) -> bool:
        one, many = item(values), collection(values)
        if isinstance(many, bytes) and not isinstance(one, bytes):
            raise _Unfit(f"{_kind(one)} cannot be part of a text")
        return (one in many) is wanted

    return test


def _element(value: Any, ref: Ref) -> Any:
    """Return the one element of a value, as Python has it."""
    if isinstance(value, np.ndarray):
        if value.size != 1 or isinstance(value.reshape(-1)[0], np.ndarray):
            raise _Unfit(
                f"{ref} holds {value.size} elements; ask for len({ref}), or for something in it"
            )
        value = value.reshape(-1)[0]
    return _plain(value, ref)


def _length(value: Any, ref: Ref) -> int:
    """Return how long a list is, or how many characters a text has; what is no text, how many bytes."""
    if isinstance(value, np.ndarray) and value.ndim:
        return len(value)
    text = _element(value, ref)
    if not isinstance(text, bytes):
        raise _Unfit(f"{ref} is {_kind(text)}, which has no length")
    try:
        return len(text.decode())
    except UnicodeDecodeError:
        return len(text)


def _members(value: Any, ref: Ref) -> bytes | list[Any]:
    """Return what ``in`` looks through: a text's characters, an array's elements."""
    if isinstance(value, np.ndarray) and value.ndim:
        return list(_elements(value, ref))
    text = _element(value, ref)
    if not isinstance(text, bytes):
        raise _Unfit(f"{ref} is {_kind(text)}, in which nothing is")
    return text


def _elements(value: np.ndarray, ref: Ref) -> Iterator[Any]:
    for element in value.flat:
        if isinstance(element, np.ndarray):
            yield from _elements(element, ref)
        else:
            yield _plain(element, ref)


def _plain(value: Any, ref: Ref) -> Any:
    """Return one element as a Python number or truth value, a text as UTF-8."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (bool, int, float)):
        return value
    try:
        return as_bytes(value)
    except (InvalidInput, UnicodeEncodeError):
        raise _Unfit(f"{ref} holds a {type(value).__name__}") from None


def _kind(value: Any) -> str:
    return "a text" if isinstance(value, bytes) else "a number"


def _encoded(text: str) -> bytes:
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        raise _Refused(f"has a constant that is no valid text: {_short(repr(text))}") from None


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
