"""``model.yaml``: one table of keys, each with its reader; unknown keys are refused.

A key's reader turns the raw value into the field of ``ModelSpec`` it sets, and raises
``ValueError`` with the reason; the file, the line and the dotted key are added here. The table is
also where the documentation's reference comes from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inferd.config.sources import Section, load_yaml
from inferd.repository.readers import (
    auto_whole,
    batching,
    choice,
    flag,
    instances,
    labels,
    mapping,
    object_name,
    relative_path,
    seconds,
    signature,
    steps,
    text,
    whole,
    word,
)

NAME = "model.yaml"


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


def _no_trust(section: Section, key: str) -> Any:
    raise Refused(
        "trust in a pickle is given by whoever starts the server, never by a file beside it",
        "start with `--trust-pickle MODEL` if you made the file yourself",
    )


def _no_cache(section: Section, key: str) -> Any:
    raise Refused("responses are not cached yet in this version", "remove the key")


KEYS: tuple[Key, ...] = (
    Key("runtime", "name", "What runs the artifact. Default: told by the artifact's content.",
        word),
    Key("artifact", "file name", "Which file to load. Default: the only one there is.", relative_path),
    Key("signature", "`{inputs: [{name, dtype, shape, default}], outputs: [...]}`",
        "Names, datatypes and shapes, `-1` for free axes and the batch on axis 0. Default: read "
        "from the artifact. `batched: false` says that axis 0 is no batch.", signature),
    Key("preprocess", "list of steps", "Transforms before the model.", steps),
    Key("postprocess", "list of steps", "Transforms after the model.", steps),
    Key("batching", "`auto` or `{max_size: 32, max_delay: 2ms}`",
        "Limits of a batch. Default `auto`: measured at load, no added delay.", batching),
    Key("instances", "`auto`, number or `{min: 1, max: 4}`",
        "Worker processes of this model. Default `auto`.", instances),
    Key("class", "`module:Class`",
        "The Python class that is the model; the version's directory is searched first.",
        object_name, option=True, runtimes=("python",)),
    Key("factory", "`module:function`",
        "What builds the module a state dict is loaded into: a class or a function.",
        object_name, option=True, runtimes=("torch",)),
    Key("parameters", "mapping", "Keyword arguments of `class` or `factory`; limits and defaults of `genai` and `whisper`.",
        mapping, option=True, runtimes=("python", "torch", "genai", "whisper")),
    Key("threads", "`auto` or number", "Threads inside one run of the model. Default `auto`.",
        auto_whole, option=True),
    Key("task", "word", "What the model is for (`classify`, `embed`, ...).", word),
    Key("version_labels", "mapping",
        "Names of versions, for example `{stable: 1, canary: 2}`, under which clients may "
        "ask for them.", labels),
    Key("explainer", "name of a model",
        "Another model that is served, which answers `:explain` of KServe's first protocol for this one.",
        text),
    Key("warmup", "file name",
        "JSON list of request bodies that the model must answer before it is ready.", relative_path),
    Key("replay", "`true` or `false`",
        "Run a request again when its worker died. Default `true`.", flag),
    Key("run_timeout", "duration",
        "A batch older than this is stuck and its worker is replaced. Default: max(10s, 20 times "
        "the measured cost).", seconds),
    Key("load_timeout", "duration", "Longest time to load. Default `2m`.", seconds),
    Key("recycle_after", "number", "Replace a worker after so many requests. Default: never.",
        whole),
    Key("executor", "`process` or `inline`",
        "Where it runs: in a worker of its own, or inside the server. Default: the server's setting.",
        choice("process", "inline")),
    Key("cache", "-", "Reserved for response caching; refused until it exists.", _no_cache),
    Key("trust_pickle", "-", "Refused: trust is given on the command line only, by "
        "`--trust-pickle MODEL`.", _no_trust, option=True),
)  # fmt: skip
"""Every key of ``model.yaml``."""
