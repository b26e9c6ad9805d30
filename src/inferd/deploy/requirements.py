"""Which packages an image needs, pinned to the versions that run here.

What was tried here is what is built: every needed distribution and what it needs in turn, as installed.
Markers need no evaluating, for the installer of this environment did it: what a distribution asks for is
needed where it is here. Hashes come from the lock file of a checkout, where it has all of them. torch is
apart: it comes from an index of its own and without what it drags in
(docs/decisions/001-torch-apart-from-the-lock.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata

from inferd.core.errors import MissingExtra
from inferd.deploy.quoting import version

PACKAGE = "inferd"
TORCH = "torch"
EXTRAS: tuple[str, ...] = (
    "audio", "genai", "grpc", "image", "pandas", "text", "torch", "tracing", "whisper",
)  # fmt: skip
"""Extras that make a difference to a server."""

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?([^;]*)(?:;(.*))?")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")
_LOCKED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)")
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Needed:
    """One requirement as written: distribution, its extras, and the extra that asks for it."""

    name: str
    extras: tuple[str, ...] = ()
    asked_by: str | None = None


@dataclass(frozen=True, slots=True)
class Pins:
    """What is installed: ``versions`` by name, torch's apart; ``hashes`` by name, all or none."""

    versions: Mapping[str, str]
    torch: str | None = None
    hashes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def normal(name: str) -> str:
    """Return the one spelling of a distribution's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse(text: str) -> Needed | None:
    """Return what a requirement asks for, ``None`` where it is no name of a distribution."""
    found = _REQUIREMENT.fullmatch(text.partition("#")[0].strip())
    if found is None:
        return None
    extra = _EXTRA.search(found[4] or "")
    extras = tuple(sorted(normal(e) for e in (found[2] or "").split(",") if e.strip()))
    return Needed(normal(found[1]), extras, normal(extra[1]) if extra else None)


def installed(name: str) -> metadata.Distribution | None:
    """Return a distribution of this environment."""
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None


def closure(roots: Iterable[Needed]) -> dict[str, str]:
    """Return name and version of every installed distribution that is needed, in order of name."""
    found: dict[str, str] = {}
    seen: set[tuple[str, str | None]] = set()
    pending = list(roots)
    while pending:
        needed = pending.pop()
        distribution = installed(needed.name)
        if distribution is None:
            continue
        found[needed.name] = version(distribution.version, needed.name)
        wanted = {key for key in (None, *needed.extras) if (needed.name, key) not in seen}
        seen |= {(needed.name, key) for key in wanted}
        for text in distribution.requires or ():
            inner = parse(text)
            if inner is not None and inner.asked_by in wanted:
                pending.append(inner)
    return dict(sorted(found.items()))


def pins(extras: Iterable[str], lock: str = "", also: Iterable[str] = ()) -> Pins:
    """Return the versions that inferd needs with these extras, and those of other distributions.

    ``lock``: text of a lock file; ``also``: what else is needed. Raises ``MissingExtra`` where the
    library of an extra is not installed here.
    """
    extras = sorted(set(extras))
    for extra in extras:
        for name in sorted(asked_by(PACKAGE, extra)):
            if installed(name) is None:
                raise MissingExtra(name, extra, what="an image is built as it runs here, and")
    versions = closure([Needed(PACKAGE, tuple(extras)), *map(Needed, also)])
    versions.pop(PACKAGE, None)
    torch = versions.pop(TORCH, None)
    hashes = _hashes(lock)
    known = {name: hashes.get((name, told), ()) for name, told in versions.items()}
    return Pins(
        versions,
        torch.partition("+")[0] if torch else None,
        known if versions and all(known.values()) else {},
    )


def asked_by(package: str, extra: str) -> set[str]:
    """Return the distributions that an extra of a package brings."""
    distribution = installed(package)
    texts = (distribution.requires or ()) if distribution else ()
    found = [parse(text) for text in texts]
    return {n.name for n in found if n is not None and n.asked_by == extra}


def _hashes(lock: str) -> dict[tuple[str, str], tuple[str, ...]]:
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for entry in lock.replace("\\\n", " ").splitlines():
        head = _LOCKED.match(entry)
        if head is not None:
            found[normal(head[1]), head[2]] = tuple(sorted(_HASH.findall(entry)))
    return found


def requirements_text(pins: Pins) -> str:
    """Return a requirements file: every version, with its hashes where all are known."""
    lines = []
    for name, told in pins.versions.items():
        tails = [f"--hash={h}" for h in pins.hashes[name]] if pins.hashes else []
        lines.append(" \\\n    ".join([f"{name}=={told}", *tails]))
    return "\n".join(lines) + "\n"


def constraints_text(pins: Pins, files: Iterable[str]) -> str:
    """Return constraints for the requirements of models: versions of here for all they name."""
    roots = [needed for text in files for needed in named(text)]
    versions = {**closure(roots), **pins.versions}
    versions.pop(PACKAGE, None)
    if TORCH in versions or pins.torch:
        versions[TORCH] = (pins.torch or versions[TORCH]).partition("+")[0]
    return "".join(f"{name}=={told}\n" for name, told in sorted(versions.items()))


def named(text: str) -> Iterator[Needed]:
    """Yield what a requirements file names; options, URLs and paths in it are passed over."""
    for line in text.replace("\\\n", " ").splitlines():
        word = line.partition("#")[0].strip()
        if not word or word.startswith(("-", ".", "/")):
            continue
        needed = parse(word.partition(" --")[0])
        if needed is not None:
            yield needed
