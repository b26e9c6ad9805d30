"""User code named as ``module:object``: found in the version's directory first, then on the path.

Only what the operator named is imported; a Python file that merely lies beside a model never is.
Several models may live in one process (``executor: inline``), each with a ``model.py`` of its own:
modules that were imported for another version's directory are forgotten first, so that one model
never gets another's code. Objects made before keep theirs.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from inferd.core.errors import InferdError, ModelFileError, nearest

_homes: dict[str, str] = {}
"""Modules that were imported from versions' directories, and from which."""

_added: set[str] = set()
"""Directories that were put on the path here, and may be taken off again."""


def load_object(reference: str, directory: Path) -> Any:
    """Return the object ``module:object`` names.

    Raises ``ModelFileError``: no such module (and where it was looked for), no such object (the
    nearest), a syntax error (file and line), or whatever importing raised.
    """
    module_name, _, path = reference.partition(":")
    found: Any = load_module(module_name, directory, f" (from {reference!r})")
    for part in path.split("."):
        if not hasattr(found, part):
            place = getattr(found, "__file__", None) or module_name
            names = [n for n in vars(found) if not n.startswith("_")]
            raise ModelFileError(
                f"{place}: has no {part!r} (from {reference!r})",
                help=nearest(part, names) if names else f"define {part} there",
            )
        found = getattr(found, part)
    return found


def load_module(name: str, directory: Path, wanted: str = "") -> ModuleType:
    """Import a module with the version's directory first on the path.

    ``wanted`` says in messages what it was looked for. Raises ``ModelFileError``.
    """
    home = str(directory.resolve())
    _enter(home)
    before = set(sys.modules)
    try:
        file = _own_file(name, directory)
        return importlib.import_module(name) if file is None else _import_as(name, file)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if name != missing and not name.startswith(missing + "."):
            told = f"{_where(name, directory)}: imports {missing!r}, which is not installed"
            raise ModelFileError(told, help=f"pip install {missing.partition('.')[0]}") from None
        raise ModelFileError(
            f"no module {missing!r}{wanted}: looked in {home}, then on the import path",
            help=_instead(missing, directory),
        ) from None
    except SyntaxError as error:
        place = f"{error.filename or _where(name, directory)}:{error.lineno or 1}"
        raise ModelFileError(f"{place}: {type(error).__name__}: {error.msg}") from None
    except InferdError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's module raises
        raise failed(f"{_where(name, directory)}: importing it raised", error) from error
    finally:
        _remember(home, before)


def _instead(missing: str, directory: Path) -> str:
    """Return the way out for a module that is not found: the nearest there is, or where to put it."""
    hint = nearest(missing, (p.stem for p in directory.glob("*.py")))
    if hint.startswith("did you mean"):
        return hint
    file = missing.replace(".", "/") + ".py"
    return f"put {file} into {directory}, or install the package that has it"


def _own_file(name: str, directory: Path) -> Path | None:
    """Return the version's file where plain importing would find another module of that name.

    ``code.py`` or ``test.py`` beside a model is the model's, though Python has one too.
    """
    file = directory / f"{name}.py"
    if "." in name or not file.is_file():
        return None
    loaded = sys.modules.get(name)
    if loaded is None and name not in sys.stdlib_module_names:
        return None
    if loaded is not None and getattr(loaded, "__file__", None) == str(file.resolve()):
        return None
    return file.resolve()


def _import_as(name: str, file: Path) -> ModuleType:
    """Import a file under a name of its own, leaving the other module of that name alone."""
    alias = f"_inferd_model_{name}"
    spec = importlib.util.spec_from_file_location(alias, file)
    if spec is None or spec.loader is None:
        raise ModelFileError(f"{file}: is not a Python module")
    module = sys.modules[alias] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[alias]
        raise
    return module


def failed(what: str, error: BaseException) -> ModelFileError:
    """Return the error for user code that raised while loading; the traceback goes to the log."""
    traceback.print_exception(error, file=sys.stderr)
    place = _deepest(error)
    text = str(error).strip()
    told = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return ModelFileError(f"{what} {told}" + (f" ({place})" if place else ""))


def _enter(home: str) -> None:
    """Put ``home`` first on the path; forget modules that came from other versions' directories."""
    for name, other in list(_homes.items()):
        if other != home:
            sys.modules.pop(name, None)
            del _homes[name]
            if other in _added:
                sys.path[:] = [p for p in sys.path if p != other]
    if home not in sys.path:
        _added.add(home)
    sys.path[:] = [home, *(p for p in sys.path if p != home)]
    importlib.invalidate_caches()


def _remember(home: str, before: set[str]) -> None:
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith(home + "/") and "site-packages" not in file:
            _homes[name] = home


def _where(name: str, directory: Path) -> str:
    file = directory / (name.replace(".", "/") + ".py")
    return str(file) if file.is_file() else f"module {name!r}"


def _deepest(error: BaseException) -> str | None:
    """Return ``file:line`` where the error was raised, outside this project and the libraries."""
    place = None
    for frame in traceback.extract_tb(error.__traceback__):
        if "site-packages" not in frame.filename and "importlib" not in frame.filename:
            place = f"{frame.filename}:{frame.lineno}"
    here = str(Path(__file__).parent)
    return None if place is None or place.startswith(here) else place
