"""Ask for films: ``python -m examples.recommender.client --like "Toy Story" --like Alien``.

Titles need not be typed exactly. ``--user`` asks for a person of MovieLens, ``--batch FILE`` for each
line of a JSON Lines file, which holds inputs such as ``{"history": [1, 183], "k": 5}`` (``-``: stdin); an answer
is printed for each, in order.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import IO, Any

from tqdm import tqdm

from examples.kit.command import status
from inferd import Client
from inferd.core.errors import InferdError

MODEL = "recommender"
AT_ONCE = 8
"""Lines of a batch that are asked about at the same time."""

LISTS = ("titles", "genres", "reasons")


def recommend(client: Client, inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to one request: a list for each output."""
    result = client.predict(MODEL, inputs)
    answer = {name: [str(text) for text in result.text(name)] for name in (*LISTS, "notes")}
    return answer | {name: result[name].tolist() for name in ("films", "years", "scores")}


def lines(answer: dict[str, Any]) -> Iterator[str]:
    """Yield an answer as text, a film a line."""
    columns = ("scores", "titles", "years", *LISTS[1:])
    for score, title, year, genres, reason in zip(*(answer[c] for c in columns), strict=True):
        yield f"{score:4.0%}  {title} ({year})  {genres.replace('|', ', ')}  {reason}"
    for note in answer["notes"]:
        yield f"note: {note}"


def batch(client: Client, file: IO[bytes], out: IO[str]) -> int:
    """Answer every line of a file, several at once; returns how many could not be answered."""
    failed = 0
    rows = (line for line in file if line.strip())
    with (
        tqdm(desc="asking", unit=" people", leave=False, disable=not sys.stderr.isatty()) as bar,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        while some := list(islice(rows, 8 * AT_ONCE)):
            for answer in pool.map(lambda line: _answer(client, line), some):
                failed += "error" in answer
                out.write(json.dumps(answer, ensure_ascii=False) + "\n")
                bar.update()
    return failed


def _answer(client: Client, line: bytes) -> dict[str, Any]:
    try:
        inputs = json.loads(line)
        if not isinstance(inputs, dict):
            return {"error": f"a line holds {type(inputs).__name__}, and not an object of inputs"}
        return recommend(client, inputs)
    except (InferdError, ValueError) as error:
        return {"error": str(error)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Ask for films that somebody may like.")
    parser.add_argument("--like", action="append", default=[], metavar="TITLE", dest="likes")
    parser.add_argument("--user", type=int, default=0, help="a person of MovieLens, 1 to 943")
    parser.add_argument("--genre", action="append", default=[], dest="genres")
    parser.add_argument("--age", type=int, default=0, help="of somebody new")
    parser.add_argument("--gender", choices=["F", "M"], default="", help="of somebody new")
    parser.add_argument("-k", type=int, default=10, help="how many films")
    parser.add_argument("--threshold", type=float, default=0.0, help="the least score, 0 to 1")
    parser.add_argument("--diversity", type=float, default=0.1, help="0 to 1")
    parser.add_argument("--batch", metavar="FILE", help="JSON Lines of inputs, - for stdin")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="the server's address")
    inputs = vars(parser.parse_args(arguments))
    url, file = inputs.pop("url"), inputs.pop("batch")
    return status(lambda: answer(url, file, inputs))


def answer(url: str, file: str | None, inputs: dict[str, Any]) -> int:
    """Print the films for one person, or for each line of a file."""
    with Client(url) as client:
        if file == "-":
            return int(batch(client, sys.stdin.buffer, sys.stdout) > 0)
        if file:
            with open(file, "rb") as opened:
                return int(batch(client, opened, sys.stdout) > 0)
        print(*lines(recommend(client, inputs)), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
