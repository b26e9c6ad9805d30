"""``pipeline.yaml``: read into a ``PipelineSpec``, everything that can be told from the file alone checked.

What is wrong is a ``ConfigError`` that names file, line and dotted key, and the nearest name where one is
unknown. Types are not looked at here: they need the models (``typing``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inferd.config.sources import Section, load_yaml
from inferd.core.errors import InferdError, nearest
from inferd.core.tensor import BYTES, DType, dtype_named
from inferd.repository import readers
from inferd.routing.pipeline.check import graph
from inferd.routing.pipeline.definition.feeds import (
    NAME,
    NAME_HELP,
    Names,
    read_constant,
    read_refs,
)
from inferd.routing.pipeline.definition.keys import INPUT, MAX_STEPS, OUTPUT, TOP
from inferd.routing.pipeline.definition.reading import check_texts, inner, read, shown
from inferd.routing.pipeline.definition.stepfile import read_step
from inferd.routing.pipeline.spec import InputSpec, OutputSpec, PipelineSpec

FILE = "pipeline.yaml"
CONTENTS = ("image", "text", "audio")
"""What bytes may mean."""


def read_pipeline(path: Path, name: str | None = None) -> PipelineSpec:
    """Read a pipeline.

    ``name``: under which it is served, else that of its directory; it cannot ask itself. Raises
    ``ConfigError`` naming file, line and key.
    """
    section = load_yaml(path).only(*(key.name for key in TOP))
    check_texts(section)
    names = Names(_input_names(section), _step_names(section))
    _distinct(section, names)
    own = own_name(path) if name is None else name
    spec = PipelineSpec(
        path,
        _inputs(section),
        tuple(read_step(section["steps"], step, names, own) for step in section["steps"]),
        _outputs(section, names),
        read(readers.word, section, "task"),
        read(readers.text, section, "description") or "",
    )
    graph.check(spec)
    return spec


def own_name(path: Path) -> str:
    """Return the name that a pipeline has from where it lies: its directory's, a version's aside."""
    directory = path.absolute().parent
    return directory.parent.name if directory.name.isdecimal() else directory.name


def find_pipeline(path: Path) -> Path | None:
    """Return the ``pipeline.yaml`` that ``path`` means, the latest version's where there are several."""
    if path.is_file():
        return path
    if (path / FILE).is_file():
        return path / FILE
    versions = [p.parent for p in path.glob(f"*/{FILE}") if p.parent.name.isdecimal()]
    return max(versions, key=lambda p: int(p.name)) / FILE if versions else None


# -- names -------------------------------------------------------------------------------------------


def _input_names(section: Section) -> frozenset[str]:
    value = section.get("inputs")
    if isinstance(value, list):
        for i, name in enumerate(value):
            _check_name(section, f"inputs[{i}]", name, "an input")
            if name in value[:i]:
                raise section.error(f"inputs[{i}]", f"{name!r} is given twice")
        names = frozenset(value)
    else:
        names = frozenset(_mapping(section, "inputs", "an input"))
    if not names:
        raise section.error(
            "inputs", "names none, and a request needs one", help=_EXAMPLES["inputs"]
        )
    return names


def _step_names(section: Section) -> frozenset[str]:
    steps = _mapping(section, "steps", "a step")
    if len(steps) > MAX_STEPS:
        raise section.error("steps", f"are {len(steps)}, over {MAX_STEPS}")
    return frozenset(steps)


def _distinct(section: Section, names: Names) -> None:
    for step in section["steps"]:
        if step in names.inputs:
            raise section["steps"].error(
                step, "is the name of an input too", help="give the step another name"
            )


_EXAMPLES = {
    "inputs": "write inputs: {image: {dtype: bytes}}, or a list of names",
    "steps": "write steps: {read: {model: reader, inputs: {x: image}}}",
    "outputs": "write outputs: {text: read.text}",
}


def _mapping(section: Section, key: str, what: str) -> Section:
    """Return the mapping of names under ``key``; refuses one that is empty, and what are no names."""
    value = section.get(key)
    if not isinstance(value, Section) or not value:
        there = "must be a mapping of names, with one at least"
        raise section.error(key, there if key in section else "is missing", help=_EXAMPLES[key])
    for name in value:
        _check_name(value, name, name, what)
    return value


def _check_name(section: Section, place: str, name: Any, what: str) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise section.error(place, f"{shown(name)} is no name of {what}", help=NAME_HELP)


# -- inputs and outputs --------------------------------------------------------------------------------


def _inputs(section: Section) -> tuple[InputSpec, ...]:
    value = section["inputs"]
    if isinstance(value, list):
        return tuple(
            InputSpec(name, where=section.where(f"inputs[{i}]")) for i, name in enumerate(value)
        )
    return tuple(_input(value, name) for name in value)


def _input(section: Section, name: str) -> InputSpec:
    where = section.where(name)
    if section[name] is None:
        return InputSpec(name, where=where)
    row = inner(section, name, "{dtype: float32, shape: [4]}, or nothing where the steps tell")
    row.only(*(key.name for key in INPUT))
    dtype = read(_dtype, row, "dtype")
    shape = read(_shape, row, "shape")
    if shape is None and dtype is BYTES:
        shape = ()
    default = read_constant(row, "default") if "default" in row else None
    return InputSpec(name, dtype, shape, read(_content, row, "content"), where, default)


def _content(section: Section, key: str) -> str:
    content = readers.word(section, key)
    if content not in CONTENTS:
        raise section.error(key, f"{content!r} is not known", help=nearest(content, CONTENTS))
    return content


def _dtype(section: Section, key: str) -> DType:
    try:
        return dtype_named(readers.text(section, key))
    except InferdError as error:
        raise section.error(key, error.message, help=error.help) from None


def _shape(section: Section, key: str) -> tuple[int, ...]:
    value = section[key]
    fits = isinstance(value, list) and all(
        isinstance(n, int) and not isinstance(n, bool) and -1 <= n < 1 << 31 and n for n in value
    )
    if not fits or len(value) > 8:
        raise section.error(
            key, f"{shown(value)} is no shape",
            help="write the sizes of one example, at most 8, -1 for any: [-1, 4]; [] for a single value",
        )  # fmt: skip
    return tuple(value)


def _outputs(section: Section, names: Names) -> tuple[OutputSpec, ...]:
    outputs = _mapping(section, "outputs", "an output")
    return tuple(_output(outputs, name, names) for name in outputs)


def _output(section: Section, name: str, names: Names) -> OutputSpec:
    where, value = section.where(name), section[name]
    if not isinstance(value, Section):
        return OutputSpec(name, read_refs(section, name, names), None, where)
    value.only(*(key.name for key in OUTPUT))
    if "from" not in value:
        raise section.error(name, "says not where it comes from", help="write from: step.output")
    default = read_constant(value, "default") if "default" in value else None
    return OutputSpec(name, read_refs(value, "from", names), default, where)
