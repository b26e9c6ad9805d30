"""Ask the financial sentiment monitor: ``python -m examples.financial_sentiment.client COMMAND ...``.

    analyse TEXT | -                  one document, from the command line or standard input
    batch FILE.jsonl                  all documents of a file; results as JSON Lines on standard output
    follow FILE.jsonl | -             a stream: new lines as they come, until Ctrl-C
    report FILE.jsonl --html OUT      charts and tables; documents that were not analysed yet are analysed

A line is ``{"text": ..., "date": ..., "source": ...}``; only ``text`` has to be there, whatever else is in it is
handed on. A line that is wrong, or cannot be analysed, is told by its number and does not stop the others.
"""

from __future__ import annotations

import argparse
import json
import select
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tqdm import tqdm

from examples.financial_sentiment.follow import Line, Splitter, Tail, numbered, parse
from examples.kit.command import status
from inferd import Client
from inferd.core.errors import InferdError, Unavailable

MODEL, REPORT = "financial_sentiment", "finance-report"
AT_ONCE = 8
"""Documents that are asked for at the same time."""

PAUSE = 0.3
"""Seconds between two looks at a followed file."""

KEPT = 100_000
"""Documents that a stream's report is about: the latest."""

Document = dict[str, Any]
Answer = dict[str, Any]


def analyse(client: Client, text: str) -> Answer:
    """Return what the pipeline says of one document."""
    result = client.predict(MODEL, {"text": text})
    pairs = zip(result.text("entities"), result.text("entity_kinds"), strict=True)
    parts = zip(result.text("sentences"), result["sentence_scores"], strict=True)
    return {
        "language": result.text("language"),
        "topic": result.text("topic"),
        "topic_score": _short(result["topic_score"]),
        "sentiment": result.text("sentiment"),
        "score": _short(result["score"]),
        "confidence": _short(result["confidence"]),
        "keywords": [str(k) for k in result.text("keywords")],
        "entities": [{"name": str(name), "kind": str(kind)} for name, kind in pairs],
        "sentences": [{"text": str(part), "score": _short(score)} for part, score in parts],
    }


def _short(number: Any) -> float:
    return round(float(number), 4)


def answered(client: Client, line: Line, patient: bool = True) -> Answer:
    """Return a line's document with what was found, or with ``error``; never raises for a document's sake.

    Not ``patient``: raises where nobody answers, for then the other documents need not be asked about.
    """
    if line.problem:
        return {"line": line.number, "error": line.problem}
    try:
        return {**line.document, **analyse(client, line.document["text"])}
    except InferdError as error:
        if not patient and error.status is None and isinstance(error, Unavailable):
            raise
        return {**line.document, "line": line.number, "error": str(error)}


def answers(
    client: Client, lines: Iterable[Line], at_once: int = AT_ONCE, *, patient: bool = True
) -> Iterator[Answer]:
    """Yield the answers in the order of the lines, so many of which are under way at once."""
    waiting: deque[Future[Answer]] = deque()
    with ThreadPoolExecutor(at_once) as pool:
        try:
            for line in lines:
                waiting.append(pool.submit(answered, client, line, patient))
                if len(waiting) >= at_once:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for left in waiting:
                left.cancel()


# --------------------------------------------------------------------------- commands


def command_analyse(client: Client, options: argparse.Namespace) -> int:
    """Print what is found in one document."""
    text = options.text
    if text == "-":
        text = sys.stdin.buffer.read().decode("utf-8", "replace")
    print(json.dumps(analyse(client, text), ensure_ascii=False, indent=1))
    return 0


def command_batch(client: Client, options: argparse.Namespace) -> int:
    """Print an answer for each line; returns 1 where one could not be analysed."""
    failed = 0
    for answer in _all(client, options.file):
        failed += "error" in answer
        print(json.dumps(answer, ensure_ascii=False), flush=True)
    return _told(failed)


def command_report(client: Client, options: argparse.Namespace) -> int:
    """Write the report on a file."""
    found = [json.dumps(answer, ensure_ascii=False) for answer in _all(client, options.file)]
    failed = sum('"error":' in answer for answer in found)
    _write(client, found, options)
    return _told(failed)


def command_follow(client: Client, options: argparse.Namespace) -> int:
    """Print an answer for each line as it comes; ends with the stream, or cleanly at Ctrl-C."""
    latest: deque[str] = deque(maxlen=KEPT)
    counts = {"documents": 0, "errors": 0}
    watching = sys.stderr.isatty()
    due = time.monotonic() + options.every
    try:
        for lines in _stream(options.file):
            for answer in answers(client, lines):
                counts["errors" if "error" in answer else "documents"] += 1
                latest.append(json.dumps(answer, ensure_ascii=False))
                print(latest[-1], flush=True)
            if watching and lines:
                print(f"\r{counts['documents']} documents, {counts['errors']} errors", end="",
                      file=sys.stderr, flush=True)  # fmt: skip
            if time.monotonic() >= due and latest:
                _report_if_asked(client, latest, options)
                due = time.monotonic() + options.every
    except KeyboardInterrupt:
        pass
    _report_if_asked(client, latest, options)
    print(f"\r{counts['documents']} documents, {counts['errors']} errors", file=sys.stderr)
    return 0


def _all(client: Client, file: str) -> Iterator[Answer]:
    """Answer a whole file, with a bar where somebody watches; what was analysed already is left as it is."""
    data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    lines = list(numbered(data.split(b"\n")))
    bar = tqdm(total=len(lines), unit="documents", disable=not sys.stderr.isatty(), leave=False)
    with bar:
        unknown = (line for line in lines if not _analysed(line.document))
        fresh = answers(client, unknown, patient=False)
        for line in lines:
            yield line.document if _analysed(line.document) else next(fresh)
            bar.update()


def _analysed(document: Document) -> bool:
    """Return whether a document is an answer of ours: a label of its owner's has no score."""
    return "sentiment" in document and "score" in document


def _stream(file: str) -> Iterator[list[Line]]:
    """Yield what has come, from time to time nothing, so that reports can be made meanwhile."""
    number = 0
    for pieces in _standard_input() if file == "-" else _file(Path(file)):
        found = []
        for piece in pieces:
            number += 1
            if (line := parse(number, piece)) is not None:
                found.append(line)
        yield found


def _file(path: Path) -> Iterator[list[bytes]]:
    tail = Tail(path)
    try:
        while True:
            yield tail.lines()
            time.sleep(PAUSE)
    finally:
        tail.close()


def _standard_input() -> Iterator[list[bytes]]:
    splitter, source = Splitter(), sys.stdin.buffer.raw  # type: ignore[attr-defined]
    while True:
        ready, _, _ = select.select([source], [], [], PAUSE)
        if not ready:
            yield []
            continue
        piece = source.read(1 << 16)
        if not piece:
            yield [splitter.rest()]
            return
        yield splitter.add(piece)


def _report_if_asked(client: Client, latest: Iterable[str], options: argparse.Namespace) -> None:
    lines = list(latest)
    if (options.html or options.json) and any('"sentiment":' in line for line in lines):
        try:
            _write(client, lines, options)
        except (InferdError, OSError) as error:
            print(f"no report this time: {error}", file=sys.stderr)


def _write(client: Client, lines: Sequence[str], options: argparse.Namespace) -> None:
    made = client.predict(REPORT, {"documents": "\n".join(lines)})
    if options.html:
        _replace(options.html, made.text("html"))
    summary = json.dumps(json.loads(made.text("summary")), ensure_ascii=False, indent=1)
    if options.json:
        _replace(options.json, summary + "\n")
    if not options.html and not options.json:
        print(summary)


def _replace(path: Path, text: str) -> None:
    """Write a file whole: whoever reads it meanwhile sees the old one or the new one.

    A device, a pipe or a link is written to, not replaced.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        path.write_text(text, encoding="utf-8")
        return
    aside = path.with_name(f".{path.name}.partial")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


def _told(failed: int) -> int:
    if failed:
        print(f"{failed} could not be analysed: see 'error'", file=sys.stderr)
    return 1 if failed else 0


def arguments_of(given: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Ask the financial sentiment monitor.")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="the server's address")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[Client, argparse.Namespace], int], told: str) -> Any:
        made = commands.add_parser(name, help=told, description=told)
        made.set_defaults(run=run)
        return made

    one = command("analyse", command_analyse, "one document")
    one.add_argument("text", metavar="TEXT", help="the text, or - for standard input")
    batch = command("batch", command_batch, "all documents of a file")
    follow = command("follow", command_follow, "a file that grows, or standard input, until Ctrl-C")
    report = command("report", command_report, "charts and tables of a file")
    for made in (batch, follow, report):
        made.add_argument("file", metavar="FILE", help="JSON Lines, or - for standard input")
    for made in (follow, report):
        made.add_argument(
            "--html", type=Path, metavar="OUT", help="write the report as one HTML file"
        )
        made.add_argument("--json", type=Path, metavar="OUT", help="write the report as JSON")
    follow.add_argument(
        "--every", type=float, default=10.0, help="seconds between two reports (10)"
    )
    return parser.parse_args(given)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = arguments_of(arguments)

    def work() -> int:
        with Client(options.url) as client:
            return int(options.run(client, options))

    return status(work)


if __name__ == "__main__":
    sys.exit(main())
