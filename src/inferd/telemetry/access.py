"""The access log: one line per request, at tens of thousands of requests per second.

On the request path a tuple is appended to a list and nothing else. Five times a second, or when
the list is long, a timer formats the whole list and hands it to the writer as one chunk. Lines
that the writer has no room for are dropped there and counted.

A line holds the time, id, method, path as sent (escaped), model, status, bytes and the time of the
whole and of each stage: microseconds in JSON, milliseconds in the readable form; and the id of the trace
where the request has one. Status 499 means that the client went away first.
"""

from __future__ import annotations

import time
from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable
from functools import lru_cache
from json import dumps as json_text

from inferd.core.clock import Clock, monotonic
from inferd.core.message import Timings
from inferd.core.trace import Trace
from inferd.telemetry.logs import timestamp
from inferd.telemetry.writer import BoundedWriter

INTERVAL = 0.2
FLUSH_AT = 500  # formatting them holds the loop for less than a millisecond

_LONGEST = 2048
_JSON = (
    '{"time":"%s","level":"info","logger":"inferd.access","request_id":"%s","method":"%s",'
    '"path":"%s","model":"%s","status":%d,"bytes":%d,"us":%d'
)
_JSON_STAGES = _JSON + (
    ',"decode_us":%d,"queue_us":%d,"batch_us":%d,"run_us":%d,"encode_us":%d,"batch_size":%d'
)

Entry = tuple[float, str, str, bytes, int, int, str, float, "Timings | None", "Trace | None"]


class AccessLog:
    """Collects entries and writes them in batches.

    ``loop`` gives the timer; ``clock`` must be the one ``record`` is given times of.
    """

    def __init__(
        self,
        writer: BoundedWriter,
        loop: AbstractEventLoop,
        *,
        json: bool,
        redact: Callable[[str], str] | None = None,
        clock: Clock = monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._writer = writer
        self._loop = loop
        self._line = _json_line if json else _text_line
        self._redact = redact
        self._clock = clock
        self._wall = wall
        self._words = lru_cache(1024)(self._make_words)
        self._entries: list[Entry] = []
        self._timer: TimerHandle | None = None

    def record(
        self,
        id: str,
        method: str,
        raw_path: bytes,
        status: int,
        sent: int,
        model: str,
        received: float,
        seconds: float,
        timings: Timings | None = None,
        trace: Trace | None = None,
    ) -> None:
        """Note a finished request: ``sent`` bytes of body, ``seconds`` from head to last byte.

        ``received``: the clock's reading when its head was complete.
        """
        entries = self._entries
        entries.append(
            (received + seconds, id, method, raw_path, status, sent, model, seconds, timings, trace)
        )
        if self._timer is None:
            self._timer = self._loop.call_later(INTERVAL, self.flush)
        elif len(entries) >= FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        """Format and write what was collected."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        entries, self._entries = self._entries, []
        if not entries:
            return
        text = "".join(self._lines(entries))
        self._writer.write(text.encode("utf-8", "backslashreplace"), len(entries))

    def _lines(self, entries: list[Entry]) -> list[str]:
        # Entries carry monotonic times; one reading of both clocks turns them into wall times.
        # What repeats is made once: the time's text per millisecond, the quoted words per path.
        offset = self._wall() - self._clock()
        line, words = self._line, self._words
        # Ids are nearly always plain: asking that of all of them together costs next to nothing.
        plain = _is_plain("".join([entry[1] for entry in entries]))
        lines: list[str] = []
        last, stamp = -1, ""
        for now, id, method, raw_path, status, sent, model, seconds, timings, trace in entries:
            millis = int((now + offset) * 1000)
            if millis != last:
                last, stamp = millis, timestamp(millis / 1000)
            where = words(method, raw_path, model)
            shown = id if plain and len(id) <= _LONGEST else _quoted(id)
            lines.append(line(stamp, shown, where, status, sent, seconds, timings, trace))
        return lines

    def _make_words(self, method: str, raw_path: bytes, model: str) -> tuple[str, str, str]:
        path = raw_path.decode("latin-1")
        if self._redact is not None:
            path = self._redact(path)
        return _quoted(method), _quoted(path), _quoted(model)


def _json_line(
    stamp: str, id: str, words: tuple[str, str, str], status: int, sent: int, seconds: float,
    t: Timings | None, trace: Trace | None,
) -> str:  # fmt: skip
    method, path, model = words
    end = "}\n" if trace is None else f',"trace_id":"{trace.trace_id}"}}\n'
    if t is None:
        return _JSON % (stamp, id, method, path, model, status, sent, seconds * 1e6) + end
    return _JSON_STAGES % (
        stamp, id, method, path, model, status, sent, seconds * 1e6, t.decode * 1e6,
        t.queue * 1e6, t.batch * 1e6, t.run * 1e6, t.encode * 1e6, t.batch_size,
    ) + end  # fmt: skip


def _text_line(
    stamp: str, id: str, words: tuple[str, str, str], status: int, sent: int, seconds: float,
    t: Timings | None, trace: Trace | None,
) -> str:  # fmt: skip
    method, path, model = words
    end = "\n" if trace is None else f" trace={trace.trace_id}\n"
    line = f"{stamp[11:23]} ACCESS  {method} {path} {status} {sent}B {seconds * 1e3:.2f}ms id={id}"
    if t is None:
        return line + end
    return (
        f"{line} model={model} decode={t.decode * 1e3:.2f} queue={t.queue * 1e3:.2f} "
        f"batch={t.batch * 1e3:.2f} run={t.run * 1e3:.2f} encode={t.encode * 1e3:.2f} "
        f"batched={t.batch_size}{end}"
    )


def _is_plain(text: str) -> bool:
    """Whether text can stand between quotes in JSON as it is, and moves no terminal."""
    return text.isascii() and text.isprintable() and '"' not in text and "\\" not in text


def _quoted(text: str) -> str:
    """Return text that can stand between quotes in JSON and moves no terminal."""
    text = text[:_LONGEST]
    if _is_plain(text):
        return text
    return json_text(text)[1:-1].replace("\x7f", "\\u007f")
