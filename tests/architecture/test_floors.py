"""The floors of the house: the contracts of pyproject.toml hold, and there are no cycles."""

import subprocess
import sys
from pathlib import Path

from tests.architecture.house import MODULES, ROOT


def test_the_contracts_hold():
    lint_imports = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint_imports, "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-3000:]


def test_every_package_has_its_floor():
    contracts = (ROOT / "pyproject.toml").read_text()
    packages = {m.name.split(".")[1] for m in MODULES if m.name.count(".")}

    assert not [name for name in packages if f"inferd.{name}" not in contracts]
