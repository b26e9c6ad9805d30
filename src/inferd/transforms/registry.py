"""The one registry of transforms, and the reference table made from it.

A transform is a row: name, phase, scope, parameters and what builds it. Rows stand beside their
implementation; this module gathers them. The reference in ``docs/transforms.md`` is generated from
the rows (``make docs``).
"""

from __future__ import annotations

from inferd.transforms import (
    audio,
    category,
    image,
    labels,
    mel,
    numeric,
    pad,
    ranking,
    scores,
    shape,
    text,
    voice,
)
from inferd.transforms.operation import POSTPROCESS, PREPROCESS, Transform
from inferd.transforms.parameter import INPUT, OUTPUT, Parameter

TRANSFORMS: dict[str, Transform] = {
    row.name: row
    for module in (
        numeric,
        category,
        shape,
        pad,
        image,
        audio,
        mel,
        voice,
        text,
        scores,
        ranking,
        labels,
    )
    for row in module.TRANSFORMS
}
"""Every transform by name."""


def of_phase(phase: str) -> list[Transform]:
    """Return the transforms that stand before (``preprocess``) or after the model, by name."""
    return sorted((t for t in TRANSFORMS.values() if t.phase == phase), key=lambda t: t.name)


def markdown() -> str:
    """Return the reference in Markdown: a section for each transform, with its parameters."""
    parts = []
    for title, phase in (("Before the model", PREPROCESS), ("After the model", POSTPROCESS)):
        parts.append(f"### {title}: `{phase}`")
        parts += [_section(transform) for transform in of_phase(phase)]
    return "\n\n".join(parts)


def _section(transform: Transform) -> str:
    rows = "\n".join(_row(p) for p in (*transform.parameters, INPUT, OUTPUT))
    short = (
        "A plain value stands for " + " or ".join(f"`{s}`" for s in transform.short) + "."
        if transform.short
        else ""
    )
    return (
        f"#### `{transform.name}`\n\n{transform.summary} Scope: {transform.scope}. {short}".rstrip()
        + f"\n\nExternal signature: {transform.spec}\n\n"
        f"```yaml\n{transform.phase}:\n  - {transform.example}\n```\n\n"
        f"| parameter | value | default | meaning |\n|---|---|---|---|\n{rows}"
    )


def _row(parameter: Parameter) -> str:
    default = "required" if parameter.required else _written(parameter.default)
    doc = parameter.doc.replace("|", "\\|")
    return f"| `{parameter.name}` | {parameter.kind.label} | {default} | {doc} |"


def _written(value: object) -> str:
    if value is None or value == ():
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`"
