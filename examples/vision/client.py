"""Ask what is in pictures: ``python -m examples.vision.client PICTURE...``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from inferd import Client
from inferd.core.errors import InferdError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Ask what is in pictures.")
    parser.add_argument("pictures", type=Path, nargs="+", metavar="PICTURE")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="the server's address")
    options = parser.parse_args(arguments)
    failed = 0
    with Client(options.url) as client:
        for picture in options.pictures:
            try:
                answer = client.predict("vision", {"image": picture})
            except (InferdError, OSError) as error:
                failed = 1
                print(f"{picture}: {error}", file=sys.stderr)
                continue
            print(picture)
            for label, score in zip(answer.text("label"), answer["score"], strict=True):
                print(f"  {score:6.1%}  {label}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
