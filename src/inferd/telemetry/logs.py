"""Structured logging over the standard library: a message and named fields, as JSON or readable.

``Log`` is what modules use: ``log.info("model ready", model="iris", seconds=0.4)``. Nothing is set
up on import; ``configure`` attaches one handler to the logger ``inferd`` and returns the handle
that takes it off again. Lines are formatted where they are logged and written by a thread
(``telemetry.writer``), so that a slow terminal never stalls the loop.

A line can hold text from clients and models. In JSON it is a string; in the readable form control
characters are escaped and continuation lines are indented, so that nobody can forge a line or
drive the terminal. ``redact`` sees every text before it is formatted; a secret's ``repr`` is masked
by its own type.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from inferd.telemetry.writer import BoundedWriter

ROOT = "inferd"
FORMATS = ("auto", "json", "text")
MAX_TEXT = 8192

Redact = Callable[[str], str]

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_PLAIN = re.compile(r"[\w./:@+\-]+")


class Log:
    """A named logger whose calls take a message and fields.

    A logger is looked up at the first call, so a module-level ``Log`` does nothing on import.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._logger: logging.Logger | None = None

    def debug(self, message: str, /, **fields: Any) -> None:
        """Log what helps to follow the program."""
        self._log(logging.DEBUG, message, fields)

    def info(self, message: str, /, **fields: Any) -> None:
        """Log what happened."""
        self._log(logging.INFO, message, fields)

    def warning(self, message: str, /, **fields: Any) -> None:
        """Log what somebody should look at."""
        self._log(logging.WARNING, message, fields)

    def error(self, message: str, /, *, exc: BaseException | None = None, **fields: Any) -> None:
        """Log what failed, with the traceback of ``exc`` where one is given."""
        self._log(logging.ERROR, message, fields, exc)

    def _log(
        self, level: int, message: str, fields: dict[str, Any], exc: BaseException | None = None
    ) -> None:
        logger = self._logger
        if logger is None:
            logger = self._logger = logging.getLogger(f"{ROOT}.{self.name}")
        if logger.isEnabledFor(level):
            info = (type(exc), exc, exc.__traceback__) if exc is not None else None
            logger.log(level, "%s", message, extra={"fields": fields}, exc_info=info)


class LogHandle:
    """What ``configure`` set up: the writer, its format, and how to take it down."""

    def __init__(
        self,
        writer: BoundedWriter,
        handler: logging.Handler,
        before: tuple[int, bool],
        *,
        json: bool,
    ) -> None:
        self.writer = writer
        self.json = json
        self._handler = handler
        self._before = before

    def close(self) -> None:
        """Leave the logger as it was, and write what is queued, for a second at most."""
        logger = logging.getLogger(ROOT)
        logger.removeHandler(self._handler)
        level, logger.propagate = self._before
        logger.setLevel(level)
        self.writer.close()


def configure(
    *,
    level: str = "info",
    format: str = "auto",
    stream: TextIO | None = None,
    redact: Redact | None = None,
) -> LogHandle:
    """Send the records of ``inferd`` to ``stream`` (standard error by default).

    ``format`` is ``json``, ``text`` or ``auto``: readable on a terminal, JSON elsewhere.
    """
    out = stream if stream is not None else sys.stderr
    as_json = format == "json" or (format == "auto" and not out.isatty())
    make = json_line if as_json else text_line
    writer = BoundedWriter(_descriptor(out), note=lambda n: make(_gap(n), None))
    writer.start()
    handler = _Handler(writer, make, redact)
    logger = logging.getLogger(ROOT)
    before = (logger.level, logger.propagate)
    logger.setLevel(level.upper())
    logger.propagate = False
    logger.addHandler(handler)
    return LogHandle(writer, handler, before, json=as_json)


def _descriptor(stream: TextIO) -> int:
    try:
        return stream.fileno()
    except (OSError, ValueError):  # replaced by an object that is no file
        return 2


class _Handler(logging.Handler):
    def __init__(
        self,
        writer: BoundedWriter,
        make: Callable[[logging.LogRecord, Redact | None], bytes],
        redact: Redact | None,
    ) -> None:
        super().__init__()
        self._writer = writer
        self._make = make
        self._redact = redact

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._writer.write(self._make(record, self._redact))
        except Exception:  # a field whose repr raises must not fail the request that logged it
            self._writer.dropped += 1


def _gap(lines: int) -> logging.LogRecord:
    record = logging.LogRecord(
        f"{ROOT}.log", logging.WARNING, "", 0, "log lines were dropped", (), None
    )
    record.fields = {"lines": lines, "reason": "the output did not keep up"}
    return record


def json_line(record: logging.LogRecord, redact: Redact | None) -> bytes:
    """Return the record as one line of JSON: time, level, logger, message, then its fields."""
    import orjson

    row: dict[str, Any] = {
        "time": timestamp(record.created),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": _clean(record.getMessage(), redact),
    }
    for key, value in fields_of(record).items():
        row[key if key not in row else f"{key}_"] = _clean(value, redact)
    if record.exc_info:
        row["traceback"] = _clean(_traceback(record), redact)
    options = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
    return orjson.dumps(row, default=repr, option=options)


def text_line(record: logging.LogRecord, redact: Redact | None) -> bytes:
    """Return the record for people: time, level, logger, message, then ``key=value``."""
    name = record.name.removeprefix(f"{ROOT}.")
    message = _escape(str(_clean(record.getMessage(), redact)))
    parts = [timestamp(record.created)[11:23], f"{record.levelname:<7}", name, message]
    for key, value in fields_of(record).items():
        parts.append(f"{key}={_readable(_clean(value, redact))}")
    line = " ".join(parts)
    if record.exc_info:
        line += "\n" + _escape(str(_clean(_traceback(record), redact)))
    return line.replace("\n", "\n    ").encode("utf-8", "backslashreplace") + b"\n"


def fields_of(record: logging.LogRecord) -> Mapping[str, Any]:
    """Return the fields of a record; one logged by another library has none."""
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, Mapping) else {}


def timestamp(seconds: float) -> str:
    """Return wall-clock seconds as ``2026-01-31T12:00:00.123Z``."""
    millis = int(seconds * 1000)
    base = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(millis // 1000))
    return f"{base}.{millis % 1000:03d}Z"


def _clean(value: Any, redact: Redact | None) -> Any:
    if isinstance(value, str):
        text = value if len(value) <= MAX_TEXT else f"{value[:MAX_TEXT]}... ({len(value)} long)"
        # Lone surrogates (undecodable file names) are not text any encoder takes.
        text = text.encode("utf-8", "backslashreplace").decode()
        return redact(text) if redact is not None else text
    if isinstance(value, Mapping):
        return {str(key): _clean(item, redact) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item, redact) for item in value]
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**64:
        return value
    return _clean(
        str(value) if isinstance(value, (os.PathLike, Exception)) else repr(value), redact
    )


def _readable(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = value if isinstance(value, str) else str(value)
    if _PLAIN.fullmatch(text):
        return text
    escaped = _escape(text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n"))
    return f'"{escaped}"' if isinstance(value, str) else escaped


def _escape(text: str) -> str:
    return _CONTROL.sub(lambda found: ascii(found.group())[1:-1], text)


def _traceback(record: logging.LogRecord) -> str:
    return "".join(traceback.format_exception(*record.exc_info)).rstrip() if record.exc_info else ""
