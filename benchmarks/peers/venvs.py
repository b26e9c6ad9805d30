"""One virtual environment per peer under ``benchmarks/.venvs``, with pinned versions.

Peers want different web stacks and must not decide ours. An installation that fails is reported
with its reason and its peers are skipped: a table with a missing row says why it is missing.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent / ".venvs"
SHARED = ("numpy==2.4.6", "onnxruntime==1.32.0", "orjson==3.13.0")
REQUIREMENTS: dict[str, tuple[str, ...]] = {
    "mosec": ("mosec==0.9.8",),
    "fastapi": ("fastapi==0.165.0", "uvicorn==0.54.0", "uvloop==0.23.0", "httptools==0.9.0"),
    "litserve": ("litserve==0.2.19", "fastapi==0.165.0", "uvicorn==0.54.0"),
    "grpc": (
        "grpcio==1.85.3", "protobuf==6.33.6", "tritonclient[grpc]==2.73.0", "uvloop==0.23.0",
    ),
    # MLServer's worker processes do not start with a later uvloop.
    "mlserver": ("mlserver==1.7.1", "grpcio==1.85.3", "protobuf==6.33.6", "uvloop==0.21.0"),
    "flask": ("flask==3.1.3", "gunicorn==27.0.1"),
}  # fmt: skip


def ensure(name: str) -> tuple[Path | None, str]:
    """Return the peer's interpreter, or ``None`` and why there is none."""
    folder = ROOT / name
    python = folder / "bin" / "python"
    wanted = (*SHARED, *REQUIREMENTS[name])
    stamp = folder / "installed"
    mark = hashlib.sha256("\n".join(wanted).encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == mark and python.exists():
        return python, ""
    print(f"installing {' '.join(REQUIREMENTS[name])}", file=sys.stderr, flush=True)
    venv.create(folder, clear=True, with_pip=True)
    done = subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        return None, "installation failed: " + _last_line(done.stderr)
    stamp.write_text(mark)
    return python, ""


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["no message"])[-1]


def versions(name: str) -> str:
    """Return the pinned requirements of one peer, for the report."""
    return " ".join(REQUIREMENTS[name])


if __name__ == "__main__":
    for peer in REQUIREMENTS:
        print(peer, *ensure(peer))
