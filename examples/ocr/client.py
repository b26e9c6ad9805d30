"""Read the text of pictures: ``python -m examples.ocr.client PICTURE...``.

``--url`` says where the pipeline is served; ``--boxes`` prints where each line stands, and how sure it is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from inferd import Client
from inferd.core.errors import InferdError


def read(client: Client, picture: Path, *, boxes: bool = False) -> str:
    """Return the text of one picture, a line for each line; ``boxes``: with place and score."""
    result = client.predict("ocr", {"image": picture})
    if not boxes:
        return str(result.text("text"))
    rows = zip(result.text("texts"), result["scores"], result["boxes"], strict=True)
    return "\n".join(
        f"{text}  {score:.2f}  {' '.join(f'{x:.0f},{y:.0f}' for x, y in box)}"
        for text, score, box in rows
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Read the text of pictures.")
    parser.add_argument("pictures", type=Path, nargs="+", metavar="PICTURE")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="the server's address")
    parser.add_argument("--boxes", action="store_true", help="with the place of each line")
    options = parser.parse_args(arguments)
    failed = 0
    with Client(options.url) as client:
        for picture in options.pictures:
            try:
                print(read(client, picture, boxes=options.boxes))
            except (InferdError, OSError) as error:
                failed = 1
                print(f"{picture}: {error}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main())
