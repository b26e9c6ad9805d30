"""``model.yaml``: one table of keys, each with its reader; unknown keys are refused.

A key's reader turns the raw value into the field of ``ModelSpec`` it sets, and raises
``ValueError`` with the reason; the file, the line and the dotted key are added here. The table is
also where the documentation's reference comes from.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inferd.config.sources import Section, load_yaml
from inferd.config.units import duration
from inferd.core.errors import InferdError, nearest
from inferd.core.signature import Signature
from inferd.core.step import Step
from inferd.repository.spec import Batching, Instances

NAME = "model.yaml"

OBJECT = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
"""``module:object`` as it is written in ``class:`` and ``factory:``."""

_WORD = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
MAX_COUNT = 1 << 20


@dataclass(frozen=True, slots=True)
class Key:
    """One key of ``model.yaml``: how it is read, which runtimes use it, and its documentation.

    ``option``: it goes to the runtime's options instead of a field of the spec. ``runtimes``: the
    only ones that use it (empty: all).
    """

    name: str
    values: str
    doc: str
    read: Callable[[Section, str], Any]
    option: bool = False
    runtimes: tuple[str, ...] = ()


class Refused(Exception):
    """A key that is understood and never taken from a file: reason and way out."""

    def __init__(self, reason: str, help: str) -> None:
        super().__init__(reason)
        self.help = help


def read_modelfile(path: Path) -> Section:
    """Read a ``model.yaml`` and refuse unknown keys. Raises ``ConfigError`` with file and line."""
    section = load_yaml(path)
    return section.only(*(k.name for k in KEYS))


def spec_fields(section: Section) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (fields of ``ModelSpec``, runtime options) that the section declares.

    ``artifact`` and ``warmup`` are relative paths still to be looked up. Raises ``ConfigError``.
    """
    fields: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for key in KEYS:
        if key.name not in section:
            continue
        try:
            value = key.read(section, key.name)
        except Refused as error:
            raise section.error(key.name, str(error), help=error.help) from None
        except ValueError as error:
            raise section.error(key.name, str(error), help=f"write {key.values}") from None
        if value is not None:
            (options if key.option else fields)[key.name] = value
    return fields, options


def places(section: Section) -> dict[str, str]:
    """Return ``file:line`` of each key, and of each declared tensor as ``signature.outputs.NAME``.

    For the messages of those who find only later that what is said there is not so.
    """
    found = {key: section.where(key) for key in section}
    signature = section.get("signature")
    if isinstance(signature, Section):
        for side in ("inputs", "outputs"):
            for row in signature.get(side) or ():
                found[f"signature.{side}.{row['name']}"] = row.where()
    return found


def check_runtime(section: Section, runtime: str) -> None:
    """Refuse keys that the runtime would ignore. Raises ``ConfigError`` naming the line."""
    for key in KEYS:
        if key.name in section and key.runtimes and runtime not in key.runtimes:
            wanted = " and ".join(key.runtimes)
            raise section.error(
                key.name,
                f"is used by the runtime {wanted} only, and this model runs on {runtime}",
                help=f"remove the key, or set `runtime: {key.runtimes[0]}`",
            )


def reference() -> str:
    """Return the Markdown table of all keys, as shown in docs/models.md."""
    rows = ["| key | value | meaning |", "| --- | --- | --- |"]
    for key in KEYS:
        used = f" Runtime {' and '.join(key.runtimes)} only." if key.runtimes else ""
        values = key.values.replace("|", "\\|")
        rows.append(f"| `{key.name}` | {values} | {key.doc}{used} |")
    return "\n".join(rows) + "\n"


# ------------------------------------------------------------------------------------- readers


def _text(section: Section, key: str) -> str:
    value = section[key]
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"must be text, not {_shown(value)}")
    return value.strip()


def _word(section: Section, key: str) -> str:
    value = _text(section, key)
    if not _WORD.fullmatch(value):
        raise ValueError(f"{value!r} is not a name")
    return value


def _object(section: Section, key: str) -> str:
    value = _text(section, key)
    if not OBJECT.fullmatch(value):
        raise ValueError(f"{value!r} does not name an object in a module")
    return value


def _relative(section: Section, key: str) -> Path:
    value = _text(section, key)
    path = Path(value)
    if path.is_absolute() or ".." in path.parts or "\0" in value or path == Path():
        raise ValueError(f"{value!r} must lie in the model's own directory: no '..', not absolute")
    return path


def _flag(section: Section, key: str) -> bool:
    value = section[key]
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {_shown(value)}")  # noqa: TRY004
    return value


def _count(value: object, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"must be a whole number, not {_shown(value)}")  # noqa: TRY004
    if not least <= value <= MAX_COUNT:
        raise ValueError(f"{value} is out of range, {least} to {MAX_COUNT}")
    return value


def _whole(section: Section, key: str) -> int:
    return _count(section[key])


def _auto_whole(section: Section, key: str) -> int | None:
    return None if section[key] == "auto" else _count(section[key])


def _seconds(section: Section, key: str) -> float:
    seconds = duration(section[key])
    if seconds <= 0:
        raise ValueError("must be longer than nothing")
    return seconds


def _batching(section: Section, key: str) -> Batching:
    value = section[key]
    if value == "auto":
        return Batching()
    if not isinstance(value, Section):
        raise ValueError(f"must be auto or a mapping, not {_shown(value)}")  # noqa: TRY004
    value.only("max_size", "max_delay")
    size = value.get("max_size", "auto")
    delay = value.get("max_delay")
    return Batching(None if size == "auto" else _inner(value, "max_size", _count, size),
                    None if delay is None else _inner(value, "max_delay", duration, delay),
                    )  # fmt: skip


def _instances(section: Section, key: str) -> Instances:
    value = section[key]
    if value == "auto":
        return Instances()
    if not isinstance(value, Section):
        return Instances(_count(value), _count(value))
    value.only("min", "max")
    low = _inner(value, "min", _count, value["min"]) if "min" in value else None
    high = _inner(value, "max", _count, value["max"]) if "max" in value else None
    if low is not None and high is not None and low > high:
        raise value.error("min", f"{low} is above max, which is {high}")
    return Instances(low, high)


def _inner(section: Section, key: str, read: Callable[[Any], Any], value: object) -> Any:
    try:
        return read(value)
    except ValueError as error:
        raise section.error(key, str(error)) from None


def _choice(*allowed: str) -> Callable[[Section, str], str]:
    def read(section: Section, key: str) -> str:
        value = section[key]
        if value not in allowed:
            hint = nearest(str(value), allowed)
            raise section.error(key, f"{_shown(value)} is not allowed", help=hint)
        return str(value)

    return read


def _mapping(section: Section, key: str) -> dict[str, Any]:
    value = section[key]
    if not isinstance(value, Section):
        raise ValueError(f"must be a mapping, not {_shown(value)}")  # noqa: TRY004
    _json_only(value, key, section)
    return value.plain()


def _labels(section: Section, key: str) -> dict[str, str]:
    value = section[key]
    if not isinstance(value, Section):
        raise ValueError(f"must be a mapping of labels to versions, not {_shown(value)}")  # noqa: TRY004
    found: dict[str, str] = {}
    for label in value:
        if not _LABEL.fullmatch(label):
            raise value.error(
                label, f"{_shown(label)} is no label",
                help="letters, digits, '.', '_' and '-', beginning with a letter or digit",
            )  # fmt: skip
        number = value[label]
        if isinstance(number, str) and number.isascii() and number.isdecimal():
            number = int(number)
        if isinstance(number, bool) or not isinstance(number, int) or not (0 <= number < 10**18):
            raise value.error(label, f"must be the number of a version, not {_shown(number)}")
        found[label] = str(number)
    return found


def _signature(section: Section, key: str) -> dict[str, Any]:
    value = section[key]
    if not isinstance(value, Section):
        raise ValueError(f"must be a mapping, not {_shown(value)}")  # noqa: TRY004
    value.only("inputs", "outputs", "batched", "max_batch")
    if "batched" in value:
        _inner(value, "batched", lambda _: _flag(value, "batched"), None)
    if value.get("max_batch") is not None:
        _inner(value, "max_batch", _count, value["max_batch"])
    for side in ("inputs", "outputs"):
        _tensor_rows(value, side)
    return value.plain()


def _tensor_rows(section: Section, side: str) -> None:
    rows = section.get(side)
    if rows is None:
        return
    example = f"{side}: [{{name: x, dtype: float32, shape: [-1, 4]}}]"
    if not isinstance(rows, list) or not rows:
        raise section.error(side, f"must be a list of tensors, not {_shown(rows)}", help=example)
    names: set[str] = set()
    for i, row in enumerate(rows):
        place = f"{side}[{i}]"
        if not isinstance(row, Section):
            raise section.error(place, f"must be a mapping, not {_shown(row)}", help=example)
        row.only("name", "dtype", "shape", "content", "symbols")
        try:
            Signature.from_json({"inputs": [row.plain()]})
        except InferdError as error:
            raise section.error(place, error.message, help=error.help or example) from None
        if 0 in row["shape"]:
            raise section.error(
                place, f"shape {row['shape']}: an axis of size 0 holds nothing",
                help="write -1 for an axis of any size",
            )  # fmt: skip
        if row["name"] in names:
            raise section.error(place, f"the name {row['name']!r} is given twice")
        names.add(row["name"])


def _steps(section: Section, key: str) -> tuple[Step, ...]:
    value = section[key]
    example = "a list of steps, for example `- cast: float32`"
    if not isinstance(value, list):
        raise ValueError(f"must be {example}, not {_shown(value)}")  # noqa: TRY004
    steps: list[Step] = []
    for i, entry in enumerate(value):
        place = f"{key}[{i}]"
        if isinstance(entry, str):
            steps.append(Step(entry, None, section.where(place)))
        elif isinstance(entry, Section) and len(entry) == 1:
            name = next(iter(entry))
            _json_only(entry[name], place, section)
            steps.append(Step(name, entry.plain()[name], entry.where(name)))
        else:
            raise section.error(
                place, f"must be one step, not {_shown(entry)}",
                help="each step is its name, or one `name: parameters` after its own dash",
            )  # fmt: skip
    return tuple(steps)


def _json_only(value: Any, place: str, section: Section) -> None:
    """Refuse what does not cross to the worker as JSON: dates, sets, bytes; numbers too large."""
    if isinstance(value, Section):
        for key in value:
            _json_only(value[key], key, value)
    elif isinstance(value, list):
        for item in value:
            _json_only(item, place, section)
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 63:
        raise section.error(place, f"{_shown(value)} does not fit 64 bits")
    elif isinstance(value, float) and math.isnan(value):
        raise section.error(place, "must be a number, not nan")
    elif not (value is None or isinstance(value, (str, bool, int, float))):
        raise section.error(
            place, f"{_shown(value)} is a {type(value).__name__}", help="put it in quotes"
        )


def _shown(value: object) -> str:
    if isinstance(value, Section):
        return "a mapping of " + (", ".join(list(value)[:4]) or "nothing")
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _no_trust(section: Section, key: str) -> Any:
    raise Refused(
        "trust in a pickle is given by whoever starts the server, never by a file beside it",
        "start with `--trust-pickle MODEL` if you made the file yourself",
    )


def _no_cache(section: Section, key: str) -> Any:
    raise Refused("responses are not cached yet in this version", "remove the key")


KEYS: tuple[Key, ...] = (
    Key("runtime", "name", "What runs the artifact. Default: told by the artifact's content.",
        _word),
    Key("artifact", "file name", "Which file to load. Default: the only one there is.", _relative),
    Key("signature", "`{inputs: [{name, dtype, shape}], outputs: [...]}`",
        "Names, datatypes and shapes, `-1` for free axes and the batch on axis 0. Default: read "
        "from the artifact. `batched: false` says that axis 0 is no batch.", _signature),
    Key("preprocess", "list of steps", "Transforms before the model.", _steps),
    Key("postprocess", "list of steps", "Transforms after the model.", _steps),
    Key("batching", "`auto` or `{max_size: 32, max_delay: 2ms}`",
        "Limits of a batch. Default `auto`: measured at load, no added delay.", _batching),
    Key("instances", "`auto`, number or `{min: 1, max: 4}`",
        "Worker processes of this model. Default `auto`.", _instances),
    Key("class", "`module:Class`",
        "The Python class that is the model; the version's directory is searched first.",
        _object, option=True, runtimes=("python",)),
    Key("factory", "`module:function`",
        "What builds the module a state dict is loaded into: a class or a function.",
        _object, option=True, runtimes=("torch",)),
    Key("parameters", "mapping", "Keyword arguments of `class` or `factory`.",
        _mapping, option=True, runtimes=("python", "torch")),
    Key("threads", "`auto` or number", "Threads inside one run of the model. Default `auto`.",
        _auto_whole, option=True),
    Key("task", "word", "What the model is for (`classify`, `embed`, ...).", _word),
    Key("version_labels", "mapping",
        "Names of versions, for example `{stable: 1, canary: 2}`, under which TensorFlow Serving's "
        "clients ask for them.", _labels),
    Key("warmup", "file name",
        "JSON list of request bodies that the model must answer before it is ready.", _relative),
    Key("replay", "`true` or `false`",
        "Run a request again when its worker died. Default `true`.", _flag),
    Key("run_timeout", "duration",
        "A batch older than this is stuck and its worker is replaced. Default: max(10s, 20 times "
        "the measured cost).", _seconds),
    Key("load_timeout", "duration", "Longest time to load. Default `2m`.", _seconds),
    Key("recycle_after", "number", "Replace a worker after so many requests. Default: never.",
        _whole),
    Key("executor", "`process` or `inline`",
        "Where it runs: in a worker of its own, or inside the server. Default: the server's setting.",
        _choice("process", "inline")),
    Key("cache", "-", "Reserved for response caching; refused until it exists.", _no_cache),
    Key("trust_pickle", "-", "Refused: trust is given on the command line only, by "
        "`--trust-pickle MODEL`.", _no_trust, option=True),
)  # fmt: skip
"""Every key of ``model.yaml``."""
