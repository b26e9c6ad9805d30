"""Writes the generated parts of the documents: ``python scripts/docs.py [--check]``.

A document holds a pair of comments ``<!-- generated: NAME -->`` and ``<!-- end -->``; what stands
between them is made from the table that the code itself uses. ``--check`` edits nothing and fails
where a document is out of date.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

PARTS: dict[str, str] = {
    "cli": "inferd.cli.reference:markdown",
    "errors": "inferd.api.errors:markdown",
    "formats": "inferd.runtimes.formats:table",
    "grpc_errors": "inferd.api.grpc.errors:markdown",
    "grpc_methods": "inferd.api.grpc.methods:markdown",
    "limits": "inferd.transport.limits:limits_table",
    "metrics": "inferd.telemetry.table:markdown",
    "modelfile": "inferd.repository.modelfile:reference",
    "parity": "inferd.api.dialects:markdown",
    "pipelines": "inferd.routing.pipeline.definition.keys:reference",
    "routes_control": "inferd.api.routes:control_table",
    "routes_oip": "inferd.api.routes:oip_table",
    "routes_openai": "inferd.api.routes:openai_table",
    "routes_sagemaker": "inferd.api.routes:sagemaker_table",
    "routes_simple": "inferd.api.routes:simple_table",
    "routes_tfserving": "inferd.api.routes:tfserving_table",
    "sagemaker_environment": "inferd.server.sagemaker:markdown",
    "sagemaker_errors": "inferd.api.runtime_errors:markdown",
    "settings": "inferd.cli.options:settings_table",
    "transforms": "inferd.transforms.registry:markdown",
}
"""Name of a part, and the function that makes it. Parts are made only where a document asks."""

_PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def make(name: str) -> str:
    """Return the text of a part."""
    module, _, function = PARTS[name].partition(":")
    maker: Callable[[], str] = getattr(import_module(module), function)
    return maker()


def renewed(text: str) -> str:
    """Return a document with its generated parts made anew."""
    return _PART.sub(lambda found: f"{found[1]}\n{make(found[2])}\n{found[3]}", text)


def documents() -> list[Path]:
    """Return every document that may hold generated parts."""
    return sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")])


def main(arguments: list[str]) -> int:
    """Renew all documents, or check them."""
    stale = [path for path in documents() if renewed(path.read_text()) != path.read_text()]
    for path in stale:
        print(f"{'out of date' if '--check' in arguments else 'written'}: {path.relative_to(ROOT)}")
        if "--check" not in arguments:
            path.write_text(renewed(path.read_text()))
    return int("--check" in arguments and bool(stale))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
