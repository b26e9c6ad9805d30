"""The keys of ``pipeline.yaml``: what may stand where, and the reference made of it."""

from __future__ import annotations

from dataclasses import dataclass

MAX_STEPS = 256


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the file, for the documentation."""

    name: str
    values: str
    doc: str


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
    Key("content", "word", "What bytes mean: `image`, `text`, `audio`."),
    Key("default", "constant", "What it is where a request leaves it out. Default: a request must bring it."),
)  # fmt: skip
STEP: tuple[Key, ...] = (
    Key("model", "`NAME`, `NAME@VERSION`, `NAME@LABEL`", "Asks a model, or another pipeline."),
    Key("python", "`module:function`", "Calls a function, looked up beside the file first."),
    Key("transform", "list of steps", "Applies transforms, those after a model."),
    Key("inputs", "mapping", "What feeds each input: `step.output`, an input's name, a constant, or a list "
        "of sources of which the first that is there counts."),
    Key("map", "mapping", "As `inputs`, fed element by element: lists of one length."),
    Key("parameters", "mapping", "What its model is asked with, whatever the request says: "
        "`{max_tokens: 80}`."),
    Key("when", "condition", "The step is skipped where it is false."),
    Key("fallback", "`{model: NAME}` or `{values: {output: constant}}`", "What answers where the step fails."),
    Key("timeout", "duration", "Longest time of the step, within the request's own."),
)  # fmt: skip
OUTPUT: tuple[Key, ...] = (
    Key("from", "`step.output`, or a list", "Where it comes from; `outputs.NAME: step.output` is short for it."),
    Key("default", "constant", "What is answered where all of `from` were skipped."),
)  # fmt: skip
"""Every key of the file, by where it stands."""


def reference() -> str:
    """Return the Markdown tables of all keys, as shown in docs/pipelines.md."""
    rows = ["| key | value | meaning |", "| --- | --- | --- |"]
    for prefix, keys in (("", TOP), ("inputs.NAME.", INPUT), ("steps.NAME.", STEP),
                         ("outputs.NAME.", OUTPUT)):  # fmt: skip
        for key in keys:
            values = key.values.replace("|", "\\|")
            rows.append(f"| `{prefix}{key.name}` | {values} | {key.doc} |")
    return "\n".join(rows) + "\n"
