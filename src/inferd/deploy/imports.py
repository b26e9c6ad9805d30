"""Which packages a model's own code imports: read from its source, which is never run.

Code without a ``requirements.txt`` still needs its libraries. They are found as a reader would find
them: every ``import`` of every file, less the standard library, inferd and the code's own modules, by
what is installed here. What an import is called and what its package is called differ (``cv2``,
``opencv-python-headless``); the installed packages say which is whose.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import PurePosixPath

from inferd.deploy.files import Copy
from inferd.deploy.requirements import PACKAGE, normal

_CODE = ".py"
MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Imported:
    """Distributions that code needs, and top-level modules that no distribution here has."""

    distributions: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def imported(files: Iterable[Copy]) -> Imported:
    """Return what the Python files among ``files`` import."""
    code = [file for file in files if file.target.suffix == _CODE]
    own = {PACKAGE, *sys.stdlib_module_names}
    for file in code:
        own |= {file.target.stem, *file.target.parts[:-1]}
    modules = {
        name for file in code for name in _modules(file) if name.partition(".")[0] not in own
    }
    if not modules:
        return Imported()
    providers = metadata.packages_distributions()
    found: set[str] = set()
    unknown: set[str] = set()
    for module in modules:
        top = module.partition(".")[0]
        names = sorted({normal(name) for name in providers.get(top, ())})
        if names:
            found.add(_provider(module, names))
        else:
            unknown.add(top)
    return Imported(tuple(sorted(found)), tuple(sorted(unknown)))


def _modules(file: Copy) -> Iterator[str]:
    """Yield the dotted names a file imports; of one that is no Python, none: its worker says so."""
    try:
        if file.source.stat().st_size > MOST_BYTES:
            return
        tree = ast.parse(file.source.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
        if isinstance(node, ast.If) and _for_types(node.test):
            pending += node.orelse
        else:
            pending += ast.iter_child_nodes(node)


def _for_types(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"


def _provider(module: str, names: list[str]) -> str:
    """Return the one distribution that has a module, where several share its first name."""
    if len(names) == 1:
        return names[0]
    path = module.replace(".", "/")
    having = [name for name in names if _has(name, path)] or names
    # Twins that differ in their windows: a container has none.
    return min(having, key=lambda name: ("headless" not in name, name))


def _has(name: str, path: str) -> bool:
    places = (f"{path}.py", f"{path}/__init__.py")
    files = metadata.distribution(name).files or ()
    return any(PurePosixPath(file).as_posix() in places for file in files)
