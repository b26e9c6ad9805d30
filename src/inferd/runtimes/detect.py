"""Which runtime serves an artifact, and whether it may: content, ending and declaration agree.

This runs in the front before any worker starts. Nothing falls back: a file that is not what its
ending or ``model.yaml`` says is refused, naming both (skops and joblib fell to a silent fall-back,
CVE-2025-54412).
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from inferd.core.errors import ModelFileError
from inferd.runtimes.exportfile import check_export
from inferd.runtimes.formats import BY_ENDING, BY_ID, MARKERS, SERVED_ENDINGS, Format
from inferd.runtimes.genai.config import read_config
from inferd.runtimes.pickles import Imports
from inferd.runtimes.probe import Finding, probe
from inferd.runtimes.protowalk import Corrupt
from inferd.runtimes.registry import RUNTIMES

TRUST = "trust_pickle"
HEAD = 64
"""Bytes of a marker in which it says what it is."""


class Detector:
    """The formats of this build, as the repository asks for them."""

    endings = SERVED_ENDINGS
    runtimes = tuple(entry.name for entry in RUNTIMES if entry.name != "steps")
    tasks: ClassVar = {entry.name: entry.task for entry in RUNTIMES if entry.task}

    def marks(self, file: Path) -> bool:
        """Whether a file makes its directory the artifact: by its name, and by what it begins with."""
        entry = MARKERS.get(file.name)
        try:
            return entry is not None and file.is_file() and entry.begins in _head(file)
        except (OSError, ValueError):  # what cannot be read is refused where it is to be served
            return False

    def detect(
        self, artifact: Path, *, model: str, runtime: str | None, options: Mapping[str, Any]
    ) -> str:
        """Return the runtime that serves ``artifact``.

        Raises ``ModelFileError`` naming the file: unreadable, empty, broken, of another format
        than its ending or ``runtime`` (as declared) says, or one that is not served.
        """
        found = identify(artifact)
        entry = BY_ID[found.format]
        _agree(artifact, entry)
        if entry.runtime is None:
            raise _refused(artifact, entry, found.imports)
        if runtime is not None and runtime != entry.runtime:
            raise ModelFileError(
                f"{artifact}: is a {entry.title}, and model.yaml says `runtime: {runtime}`",
                help=f"say `runtime: {entry.runtime}`, or leave the key out",
            )
        check_policy(artifact, found, model=model, options=options)
        return entry.runtime


def identify(artifact: Path) -> Finding:
    """Return what a file is by its content. Raises ``ModelFileError`` where it is broken."""
    try:
        status = artifact.stat()
        if stat.S_ISDIR(status.st_mode):
            return _directory(artifact)
        if not stat.S_ISREG(status.st_mode):
            raise ModelFileError(f"{artifact}: is not a file")
        if status.st_size == 0:
            raise ModelFileError(f"{artifact}: is empty (0 bytes)", help="copy the file again")
        if artifact.suffix.lower() == ".py":
            return _python(artifact)
        return probe(artifact)
    except Corrupt as error:
        raise ModelFileError(
            f"{artifact}: is damaged or not what it seems: {error}",
            help="compare its size and checksum with the original, and copy it again",
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelFileError(f"{artifact}: cannot be read: {reason}") from None


def _directory(artifact: Path) -> Finding:
    """Return the format of a directory: that of the file in it which marks one."""
    for marker, entry in MARKERS.items():
        file = artifact / marker
        if not file.is_file():
            continue
        if entry.begins not in _head(file):
            raise ModelFileError(
                f"{file}: is not that of a {entry.title}",
                help="name the artifact that is to be served in model.yaml: `artifact: FILE`",
            )
        return Finding(entry.id)
    raise ModelFileError(f"{artifact}: is not a file")


def _head(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(HEAD)


def _python(artifact: Path) -> Finding:
    data = artifact.read_bytes()
    try:
        data.decode()
    except UnicodeDecodeError:
        data = b"\0"
    if b"\0" in data:
        actual = BY_ID[probe(artifact).format]
        raise ModelFileError(
            f"{artifact}: is named .py, and its content is no text: {actual.title}"
        )
    return Finding("python")


def _agree(artifact: Path, entry: Format) -> None:
    """Refuse an ending that belongs to another format than the content is."""
    ending = artifact.suffix.lower()
    owners = BY_ENDING.get(ending, ())
    if not owners or entry in owners or not (entry.runtime or _serves(owners)):
        return
    titles = " or ".join(dict.fromkeys(f.title for f in owners))
    help = entry.help
    if entry.runtime is not None and entry.endings:
        help = f"if that is what it is, name it {artifact.stem}{entry.endings[0]}"
    raise ModelFileError(
        f"{artifact}: is named {ending} ({titles}), and its content is: {entry.title}", help=help
    )


def _serves(owners: tuple[Format, ...]) -> bool:
    return any(f.runtime is not None for f in owners)


def _refused(artifact: Path, entry: Format, imports: Imports) -> ModelFileError:
    owners = BY_ENDING.get(artifact.suffix.lower(), ())
    if entry.id in {"unknown", "text", "json"} and owners:
        entry = owners[0]
    classes = ", ".join(n.replace(" ", ".") for n in imports.names[:3])
    of = f" (of {classes})" if classes else ""
    return ModelFileError(f"{artifact}: cannot be served: {entry.title}{of}", help=entry.help)


def check_policy(artifact: Path, found: Finding, *, model: str, options: Mapping[str, Any]) -> None:
    """Refuse what would run code, and what cannot load for want of a declaration.

    Raises ``ModelFileError`` with the way out.
    """
    if found.format == "torch-pickle" and not options.get(TRUST):
        foreign = ", ".join(n.replace(" ", ".") for n in found.imports.foreign[:3])
        raise ModelFileError(
            f"{artifact}: is a pickled object (of {foreign}), and loading a pickle runs whatever "
            "code it names",
            help="save the state dict (`torch.save(model.state_dict(), ...)`) and name a `factory` "
            "in model.yaml, or export the model (torch.export, ONNX); if you made this file "
            f"yourself: --trust-pickle {model}",
        )
    if found.format == "torch-state-dict" and not (options.get("factory") or options.get(TRUST)):
        raise ModelFileError(
            f"{artifact}: is a state dict: it holds weights, and nothing says what they belong to",
            help="put it into <model>/1/ and write <model>/model.yaml with `factory: module:Class` "
            "and a signature; or export the model (torch.export, TorchScript, ONNX)",
        )
    if found.format == "torch-export":
        check_export(artifact)
    if found.format == "genai":
        read_config(artifact)
