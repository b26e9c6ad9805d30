"""Base images made of Debian's packages, once: no image registry is asked.

They stand in for the official ones, so they have what those have: Python with ``venv``, or NGINX with
its command. What goes into one is in its file's name, so a change makes a new one.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

from tests.system.engine import cache, install

SUITE = "bookworm"  # Debian 12: Python 3.11, the oldest that is supported
TOOLS = {"mmdebstrap": "mmdebstrap"}


@dataclass(frozen=True)
class Base:
    """An image: its name, Debian's packages in it, and further lines of its Dockerfile."""

    name: str
    packages: tuple[str, ...]
    lines: tuple[str, ...]

    @property
    def archive(self):
        """Where the root file system is kept."""
        digest = hashlib.sha256(" ".join((SUITE, *self.packages)).encode()).hexdigest()[:12]
        return cache() / f"{self.name.replace('/', '-').replace(':', '-')}-{digest}.tar"


PYTHON = Base(
    "inferd-tests/python:3.11",
    ("python3-minimal", "python3-venv", "ca-certificates"),
    ('CMD ["python3"]',),
)
NGINX = Base(
    "inferd-tests/nginx:1.22",
    ("nginx-light", "ca-certificates", "curl"),
    ('CMD ["nginx", "-g", "daemon off;"]', "STOPSIGNAL SIGQUIT"),
)


def provide(engine, base):
    """Make sure that the engine has the image; return its name."""
    if not engine.docker("images", "--quiet", base.name):
        if not base.archive.exists():
            _make(base)
        raw = engine.docker("import", base.archive, timeout=120)
        text = "\n".join((f"FROM {raw}", *base.lines))
        engine.docker("build", "--tag", base.name, "-", input=text)
    return base.name


def _make(base):
    install(TOOLS)
    unfinished = base.archive.with_suffix(".new.tar")
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(base.packages)}"]
    leave_out = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*"]
    command += [f"--dpkgopt=path-exclude={path}" for path in leave_out]
    done = subprocess.run(
        [*command, SUITE, unfinished], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    shutil.move(unfinished, base.archive)


def trusted():
    """Return the options that make pip inside a build trust what pip here trusts."""
    command = [sys.executable, "-m", "pip", "config", "get", "global.cert"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout
    file = os.environ.get("PIP_CERT") or told.strip()
    return ["--ca-bundle", file] if file else []
