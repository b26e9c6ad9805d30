"""Files a step names: looked up in the version's own directory, then beside ``model.yaml``.

A ``model.yaml`` may come from a stranger, so an absolute path, ``..`` and a link that leaves the
directory are refused, and sizes are bounded before anything is read.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from inferd.core.errors import nearest
from inferd.transforms.parameter import StepError

MAX_LABELS_BYTES = 16 << 20


def locate(directory: Path, name: str, key: str) -> Path:
    """Return the real path of ``name`` inside ``directory``, or beside the model's ``model.yaml``.

    Raises ``StepError`` for a missing file and for every name that leaves the directory.
    """
    parts = PurePosixPath(name).parts
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).is_absolute() or ".." in parts:
        raise StepError(
            f"{key}: {name!r} leaves the model's directory",
            help="put the file next to the model and give its name",
        )
    try:
        root = _root(directory, name)
        path = (root / name).resolve(strict=True)
        if not path.is_relative_to(root):
            raise StepError(f"{key}: {name!r} is a link that leaves the model's directory")
        if not path.is_file():
            raise StepError(f"{key}: {name!r} is not a file")
    except (OSError, ValueError, RuntimeError):
        raise StepError(
            f"{key}: there is no file {name!r} in the model's directory",
            help=nearest(name, _neighbours(directory)),
        ) from None
    return path


def _root(directory: Path, name: str) -> Path:
    root = directory.resolve(strict=True)
    if not (root / name).exists() and (root.parent / "model.yaml").is_file():
        return root.parent
    return root


def read(directory: Path, name: str, key: str, limit: int) -> bytes:
    """Return the bytes of a file beside the model, at most ``limit``. Raises ``StepError``."""
    path = locate(directory, name, key)
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise StepError(f"{key}: {name!r} cannot be read: {error.strerror}") from None
    if len(data) > limit:
        raise StepError(f"{key}: {name!r} is over the {limit} bytes such a file may have")
    return data


def read_labels(directory: Path, name: str, key: str) -> list[str]:
    """Return the labels of a file: one a line, or JSON (a list, or an object by class number)."""
    data = read(directory, name, key, MAX_LABELS_BYTES)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise StepError(f"{key}: {name!r} is not UTF-8 text: {error.reason}") from None
    if name.lower().endswith(".json"):
        return _from_json(text, name, key)
    lines = text.replace("\r\n", "\n").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise StepError(f"{key}: {name!r} is empty")
    return [line.strip() for line in lines]


def _from_json(text: str, name: str, key: str) -> list[str]:
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StepError(f"{key}: {name!r} is not JSON: {error}") from None
    if isinstance(value, dict) and isinstance(value.get("id2label"), dict):
        value = value["id2label"]
    if isinstance(value, dict):
        by_number = [value.get(str(i)) for i in range(len(value))]
        if None in by_number:
            raise StepError(
                f"{key}: the keys of {name!r} must be the class numbers from 0 to {len(value) - 1}"
            )
        value = by_number
    if not isinstance(value, list) or not value:
        raise StepError(f"{key}: {name!r} must hold a list of labels")
    if not all(isinstance(v, (str, int, float)) for v in value):
        raise StepError(f"{key}: {name!r} must hold texts")
    return [str(v) for v in value]


def _neighbours(directory: Path) -> list[str]:
    try:
        return [p.name for p in directory.iterdir() if p.is_file()][:200]
    except OSError:
        return []
