"""The wheel of the inferd that runs: from its checkout, where it is one."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import inferd
from inferd.core.errors import ConfigError, InferdError

_SECONDS = 300


def checkout() -> Path | None:
    """Return the directory of the source checkout that runs, ``None`` for an installed package."""
    root = Path(inferd.__file__).resolve().parents[2]
    named = root / "pyproject.toml"
    if named.is_file() and 'name = "inferd"' in named.read_text(encoding="utf-8"):
        return root
    return None


def lock_text() -> str:
    """Return the lock file of the checkout; empty where there is none."""
    root = checkout()
    lock = root / "requirements.lock" if root else None
    return lock.read_text(encoding="utf-8") if lock and lock.is_file() else ""


def make_wheel(into: Path) -> Path:
    """Build the wheel of the checkout; raises ``InferdError`` with what pip said."""
    root = checkout()
    if root is None:
        raise ConfigError("inferd does not run from a checkout, so there is no wheel to make")
    # With the backend at hand nothing is fetched.
    local = ["--no-build-isolation"] if find_spec("hatchling") else []
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet",
         "--no-deps", *local, "--wheel-dir", str(into), str(root)],
        capture_output=True, text=True, timeout=_SECONDS, check=False,
    )  # fmt: skip
    made = sorted(into.glob("inferd-*.whl"))
    if done.returncode or len(made) != 1:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise InferdError(
            f"the wheel of {root} could not be made: {said}",
            help="make it where pip and hatchling are, and name it: --wheel inferd-....whl",
        )
    return made[0]
