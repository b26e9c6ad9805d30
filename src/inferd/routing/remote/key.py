"""The key that a service is asked with: written down, in the environment, or in a file. Never shown."""

from __future__ import annotations

import os
import re
from pathlib import Path

from inferd.config.secret import Secret
from inferd.config.sources import Section

MOST_BYTES = 4096
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_KEY = re.compile(r"[!-~]+")


def read_key(row: Section, folder: Path) -> Secret | None:
    """Return what ``key`` or ``key_file`` of a service say; raises ``ConfigError``.

    ``key: ${NAME}`` stands for a variable of the environment. Files lie beside the deployment file,
    which is in ``folder``.
    """
    if row.get("key") is not None and row.get("key_file") is not None:
        raise row.error("key_file", "cannot be given beside key")
    if row.get("key") is not None:
        return _checked(row, "key", _written(row))
    if row.get("key_file") is not None:
        return _checked(row, "key_file", _filed(row, folder))
    return None


def _written(row: Section) -> str:
    given = row["key"]
    if not isinstance(given, str):
        raise row.error("key", "must be text", help="key: ${ENGINE_KEY}, or key_file: PATH")
    variable = _VARIABLE.fullmatch(given.strip())
    if variable is None:
        return given
    if not os.environ.get(variable[1]):
        raise row.error("key", f"the variable {variable[1]} of the environment is not set")
    return os.environ[variable[1]]


def _filed(row: Section, folder: Path) -> str:
    given = row["key_file"]
    if not isinstance(given, str) or not given.strip():
        raise row.error("key_file", "must be the path of a file")
    path = folder / given.strip()
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1).decode("ascii")
    except UnicodeDecodeError:
        raise row.error("key_file", f"{path} must hold one line of ASCII") from None
    except OSError as error:
        raise row.error("key_file", f"{path} cannot be read: {error.strerror}") from None


def _checked(row: Section, name: str, text: str) -> Secret:
    text = text.strip()
    # Its value is not shown, whatever is wrong with it.
    if len(text) > MOST_BYTES or not _KEY.fullmatch(text):
        raise row.error(name, f"must be 1 to {MOST_BYTES} printable ASCII characters, no spaces")
    return Secret(text)
