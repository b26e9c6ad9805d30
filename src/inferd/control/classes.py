"""The labels of a model's classes, for clients that ask for classes instead of scores.

They are those of the ``labels`` step that ``model.yaml`` declares, else the lines of a ``labels.txt``
beside the model. What cannot be read has no labels: the step itself is checked where it is compiled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inferd.repository.spec import ModelSpec
from inferd.transforms.files import read_labels
from inferd.transforms.parameter import StepError

FILE = "labels.txt"


def class_labels(spec: ModelSpec) -> tuple[str, ...]:
    """Return the labels by class number, empty where there are none; reads files."""
    steps = [step.params for step in spec.postprocess if step.name == "labels"]
    try:
        if steps:
            return _of_step(spec.directory, steps[0])
        return _read(spec.directory, FILE)
    except (StepError, OSError):
        return ()


def _of_step(directory: Path, params: Any) -> tuple[str, ...]:
    if isinstance(params, dict):
        params = params.get("values", params.get("file"))
    if isinstance(params, list):
        return tuple(map(str, params))
    return _read(directory, params) if isinstance(params, str) else ()


def _read(directory: Path, name: str) -> tuple[str, ...]:
    return tuple(read_labels(directory, name, "labels"))
