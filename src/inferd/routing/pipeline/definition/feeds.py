"""What feeds an input, as written: ``step.output``, the name of an input, constants, several in a row."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from inferd.config.sources import Section
from inferd.core.errors import ConfigError, nearest
from inferd.routing.pipeline.spec import Constant, Feed, Ref

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}", re.ASCII)
"""Names of steps, inputs and outputs of a pipeline."""

NAME_HELP = "a name begins with a letter or _; letters, digits, _ and - follow"
MAX_SOURCES = 16
MAX_DEPTH = 8
EXAMPLE = (
    "write step.output, the name of an input, a number, or {value: ...} for any other constant"
)


@dataclass(frozen=True, slots=True)
class Names:
    """What can be referred to: the pipeline's inputs and steps."""

    inputs: frozenset[str]
    steps: frozenset[str]

    def find(self, text: str, where: str) -> Ref:
        """Return the reference that ``text`` is; raises ``ConfigError`` naming the nearest name."""
        step, dot, output = text.partition(".")
        if not dot:
            if text in self.inputs:
                return Ref(None, text, where)
            if text in self.steps:
                raise ConfigError(
                    f"{where}: {text!r} is a step, not one of its outputs",
                    help=f"write {text}.OUTPUT",
                )
            known = [*self.inputs, *self.steps]
            raise ConfigError(
                f"{where}: {_shown(text)} is neither an input nor a step", help=_hint(text, known)
            )
        if step in self.steps and output:
            return Ref(step, output, where)
        if step in self.steps:
            raise ConfigError(f"{where}: {_shown(text)} names no output", help=EXAMPLE)
        if step in self.inputs:
            raise ConfigError(
                f"{where}: {_shown(text)}: {step!r} is an input, which has no outputs",
                help=f"write {step}",
            )
        raise ConfigError(f"{where}: there is no step {_shown(step)}", help=_hint(step, self.steps))


def read_feed(section: Section, key: str, names: Names) -> Feed:
    """Read what feeds the input ``key``. Raises ``ConfigError`` naming file, line and key."""
    value = section[key]
    if not isinstance(value, list) or not any(isinstance(v, (str, Section)) for v in value):
        return (_source(section, key, value, names),)
    if len(value) > MAX_SOURCES:
        raise section.error(key, f"has {len(value)} sources, over {MAX_SOURCES}")
    feed: list[Ref | Constant] = []
    for i, item in enumerate(value):
        if feed and isinstance(feed[-1], Constant):
            raise section.error(
                f"{key}[{i}]", "stands behind a constant, which is always there",
                help="a constant is the last of several sources",
            )  # fmt: skip
        feed.append(_source(section, f"{key}[{i}]", item, names))
    return tuple(feed)


def read_refs(section: Section, key: str, names: Names) -> Feed:
    """Read what feeds an output of the pipeline: references only."""
    feed = read_feed(section, key, names)
    if any(isinstance(source, Constant) for source in feed):
        raise section.error(
            key, f"{_shown(section[key])} refers to no step and no input",
            help="write step.output, or a list of these; a constant goes to `default:`",
        )  # fmt: skip
    return feed


def _source(section: Section, place: str, value: Any, names: Names) -> Ref | Constant:
    where = section.where(place)
    if isinstance(value, str):
        return names.find(value.strip(), _at(section, place))
    if isinstance(value, Section):
        value.only("value")
        if "value" not in value:
            raise section.error(place, "says no value", help=EXAMPLE)
        return read_constant(value, "value")
    if value is None:
        raise section.error(place, "is left empty", help=EXAMPLE)
    _check(section, place, value, 0)
    return Constant(value, where)


def _at(section: Section, place: str) -> str:
    """Return ``file:line: dotted.key``, for an error that another raises."""
    return f"{section.where(place)}: {section.path}{'.' if section.path else ''}{place}"


def read_constant(section: Section, key: str) -> Constant:
    """Read a constant. Raises ``ConfigError`` for what is no number, text, truth value or list of these."""
    value = section[key]
    _check(section, key, value, 0)
    return Constant(value, section.where(key))


def _check(section: Section, place: str, value: Any, depth: int) -> None:
    if isinstance(value, list):
        if depth >= MAX_DEPTH:
            raise section.error(place, f"holds lists more than {MAX_DEPTH} deep")
        for item in value:
            _check(section, place, item, depth + 1)
    elif isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        raise section.error(place, f"{_shown(value)} does not fit 64 bits")
    elif not isinstance(value, (str, bool, int, float)):
        what = "a mapping" if isinstance(value, Section) else f"a {type(value).__name__}"
        what = "nothing" if value is None else what
        raise section.error(
            place,
            f"{what} is no constant",
            help="write numbers, texts, true, false, or lists of these",
        )


def _hint(name: str, known: Iterable[str]) -> str:
    return nearest(name, known)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
