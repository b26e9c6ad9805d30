"""``pipeline.yaml``: read into a ``PipelineSpec``, everything that can be told from the file alone checked.

What is wrong is a ``ConfigError`` that names file, line and dotted key, and the nearest name where one is
unknown. Types are not looked at here: they need the models (``typing``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from inferd.config.sources import Section, load_yaml
from inferd.core.errors import InferdError
from inferd.core.tensor import BYTES, DType, dtype_named
from inferd.repository import readers
from inferd.routing.pipeline import graph
from inferd.routing.pipeline.conditions import parse_condition
from inferd.routing.pipeline.feeds import (
    NAME,
    NAME_HELP,
    Names,
    read_constant,
    read_feed,
    read_refs,
)
from inferd.routing.pipeline.spec import (
    Condition,
    Fallback,
    Feed,
    InputSpec,
    ModelCall,
    OutputSpec,
    PipelineSpec,
    PythonCall,
    StepSpec,
    TransformCall,
)

FILE = "pipeline.yaml"
MAX_STEPS = 256
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the file, for the documentation."""

    name: str
    values: str
    doc: str


def read_pipeline(path: Path, name: str | None = None) -> PipelineSpec:
    """Read a pipeline.

    ``name``: under which it is served, else that of its directory; it cannot ask itself. Raises
    ``ConfigError`` naming file, line and key.
    """
    section = load_yaml(path).only(*(key.name for key in TOP))
    names = Names(_input_names(section), _step_names(section))
    _distinct(section, names)
    spec = PipelineSpec(
        path,
        _inputs(section),
        _steps(section, names, own_name(path) if name is None else name),
        _outputs(section, names),
        _read(readers.word, section, "task"),
        _read(readers.text, section, "description") or "",
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


def reference() -> str:
    """Return the Markdown tables of all keys, as shown in docs/pipelines.md."""
    rows = ["| key | value | meaning |", "| --- | --- | --- |"]
    for prefix, keys in (("", TOP), ("inputs.NAME.", INPUT), ("steps.NAME.", STEP),
                         ("outputs.NAME.", OUTPUT)):  # fmt: skip
        for key in keys:
            values = key.values.replace("|", "\\|")
            rows.append(f"| `{prefix}{key.name}` | {values} | {key.doc} |")
    return "\n".join(rows) + "\n"


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
        shown = (
            "is missing" if key not in section else "must be a mapping of names, with one at least"
        )
        raise section.error(key, shown, help=_EXAMPLES[key])
    for name in value:
        _check_name(value, name, name, what)
    return value


def _check_name(section: Section, place: str, name: Any, what: str) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise section.error(place, f"{_shown(name)} is no name of {what}", help=NAME_HELP)


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
    row = _section(section, name, "{dtype: float32, shape: [4]}, or nothing where the steps tell")
    row.only(*(key.name for key in INPUT))
    dtype = _read(_dtype, row, "dtype")
    shape = _read(_shape, row, "shape")
    if shape is None and dtype is BYTES:
        shape = ()
    return InputSpec(name, dtype, shape, _read(readers.word, row, "content"), where)


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
            key, f"{_shown(value)} is no shape",
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


# -- steps -----------------------------------------------------------------------------------------------


def _steps(section: Section, names: Names, own: str) -> tuple[StepSpec, ...]:
    steps = section["steps"]
    return tuple(_step(steps, name, names, own) for name in steps)


def _step(steps: Section, name: str, names: Names, own: str) -> StepSpec:
    row = _section(steps, name, "{model: NAME, inputs: {x: step.output}}")
    row.only(*(key.name for key in STEP))
    inputs, mapped = _feeds(row, "inputs", names), _feeds(row, "map", names)
    for both in inputs.keys() & mapped.keys():
        raise row["map"].error(
            both, "is fed by inputs: too", help="name an input under one of the two"
        )
    if "map" in row and not mapped:
        raise row.error("map", "names no input", help="write map: {x: step.list}")
    return StepSpec(
        name,
        _call(row, own),
        inputs,
        mapped,
        _condition(row, names),
        _fallback(row, own),
        _read(readers.seconds, row, "timeout"),
        steps.where(name),
    )


def _call(row: Section, own: str) -> ModelCall | PythonCall | TransformCall:
    kinds = [key for key in ("model", "python", "transform") if key in row]
    if len(kinds) != 1:
        said = " and ".join(kinds) if kinds else "none of them"
        raise row.error(
            None, f"must have one of model, python and transform; it has {said}",
            help="a step asks a model, calls a Python function, or applies transforms",
        )  # fmt: skip
    where = row.where(kinds[0])
    if kinds[0] == "model":
        return _model(row, own)
    if kinds[0] == "python":
        return PythonCall(_read(readers.object_name, row, "python") or "", where)
    steps = _read(readers.steps, row, "transform") or ()
    if not steps:
        raise row.error("transform", "lists no step", help="write transform: [softmax]")
    return TransformCall(steps, where)


def _model(row: Section, own: str) -> ModelCall:
    text = _read(readers.text, row, "model") or ""
    model, at, version = text.partition("@")
    if not model or (at and not version) or any(c.isspace() for c in text):
        raise row.error(
            "model",
            f"{_shown(text)} names no model",
            help="write NAME, or NAME@VERSION, or NAME@LABEL",
        )
    if model == own:
        raise row.error(
            "model", f"{model!r} is this pipeline itself, which cannot wait for its own answer",
            help="a pipeline has the name of its directory",
        )  # fmt: skip
    return ModelCall(model, version or None, row.where("model"))


def _feeds(row: Section, key: str, names: Names) -> dict[str, Feed]:
    if row.get(key) is None:
        return {}
    section = _section(row, key, "{x: step.output}")
    return {name: read_feed(section, name, names) for name in section}


def _condition(row: Section, names: Names) -> Condition | None:
    if "when" not in row:
        return None
    text = _read(readers.text, row, "when") or ""
    return parse_condition(text, f"{row.where('when')}: {row.path}.when", names.find)


def _fallback(row: Section, own: str) -> Fallback | None:
    if "fallback" not in row:
        return None
    section = _section(row, "fallback", "{model: NAME} or {values: {output: 0}}").only(
        "model", "values"
    )
    if len(section) != 1:
        said = "both" if section else "neither"
        raise row.error("fallback", f"must have one of model and values; it has {said}")
    where = row.where("fallback")
    if "model" in section:
        return Fallback(_model(section, own), {}, where)
    values = _section(section, "values", "{output: 0}")
    if not values:
        raise section.error("values", "give no output", help="write values: {output: 0}")
    return Fallback(None, {name: read_constant(values, name) for name in values}, where)


# -- reading ---------------------------------------------------------------------------------------------


def _section(section: Section, key: str, example: str) -> Section:
    value = section[key]
    if not isinstance(value, Section):
        raise section.error(key, f"must be a mapping, not {_shown(value)}", help=f"write {example}")
    return value


def _read(reader: Callable[[Section, str], T], section: Section, key: str) -> T | None:
    """Return what ``reader`` makes of a key, ``None`` where it is absent or empty."""
    if section.get(key) is None:
        if key in section and key not in (
            "dtype",
            "shape",
            "content",
            "task",
            "description",
            "timeout",
        ):
            raise section.error(key, "is left empty")
        return None
    try:
        return reader(section, key)
    except ValueError as error:
        raise section.error(key, str(error)) from None


def _shown(value: object) -> str:
    if isinstance(value, Section):
        return "a mapping of " + (", ".join(list(value)[:4]) or "nothing")
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


# -- the keys --------------------------------------------------------------------------------------------

TOP: tuple[Key, ...] = (
    Key("description", "text", "What it is for."),
    Key("task", "word", "As in `model.yaml`: what dialects rely on (`generate`, `embed` ...)."),
    Key("inputs", "mapping or list of names", "What a request brings."),
    Key("steps", "mapping", f"The steps by name, {MAX_STEPS} at most."),
    Key("outputs", "mapping", "What is answered."),
)
INPUT: tuple[Key, ...] = (
    Key("dtype", "name", "Datatype. Default: as the first step says that takes it."),
    Key("shape", "list of sizes", "Shape of one example, `-1` for any size. Default: `[]` for bytes, "
        "else as the step says."),
    Key("content", "word", "What bytes mean: `image`, `text`."),
)  # fmt: skip
STEP: tuple[Key, ...] = (
    Key("model", "`NAME`, `NAME@VERSION`, `NAME@LABEL`", "Asks a model, or another pipeline."),
    Key("python", "`module:function`", "Calls a function, looked up beside the file first."),
    Key("transform", "list of steps", "Applies transforms, those after a model."),
    Key("inputs", "mapping", "What feeds each input: `step.output`, an input's name, a constant, or a list "
        "of sources of which the first that is there counts."),
    Key("map", "mapping", "As `inputs`, fed element by element: lists of one length."),
    Key("when", "condition", "The step is skipped where it is false."),
    Key("fallback", "`{model: NAME}` or `{values: {output: constant}}`", "What answers where the step fails."),
    Key("timeout", "duration", "Longest time of the step, within the request's own."),
)  # fmt: skip
OUTPUT: tuple[Key, ...] = (
    Key("from", "`step.output`, or a list", "Where it comes from; `outputs.NAME: step.output` is short for it."),
    Key("default", "constant", "What is answered where all of `from` were skipped."),
)  # fmt: skip
"""Every key of the file, by where it stands."""
