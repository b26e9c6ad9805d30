import asyncio
import json
import os

import pytest

from inferd.core.clock import FakeClock
from inferd.core.message import Timings
from inferd.core.trace import parse
from inferd.telemetry.access import FLUSH_AT, AccessLog
from inferd.telemetry.writer import BoundedWriter


class Loop:
    """A timer that a test turns by hand."""

    def __init__(self):
        self.due = []

    def call_later(self, delay, callback):
        self.due.append((delay, callback))
        return self

    def cancel(self):
        self.due.clear()


@pytest.fixture
def access(tmp_path):
    """Give an access log and a function that closes it and reads the lines."""
    fd = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    writer = BoundedWriter(fd)
    writer.start()

    def make(*, as_json=True, redact=None):
        clock = FakeClock(50.0)
        log = AccessLog(
            writer, Loop(), json=as_json, redact=redact, clock=clock, wall=lambda: 1_700_000_000.5
        )

        def lines():
            log.flush()
            writer.close()
            return (tmp_path / "log").read_text().splitlines()

        return log, lines

    yield make
    writer.close()
    os.close(fd)


def test_a_line_says_who_what_and_how_long(access):
    log, lines = access()
    timings = Timings(
        queue=0.001, batch=0.002, run=0.003, decode=0.0001, encode=0.0002, batch_size=4
    )
    log.record("req-1", "POST", b"/models/iris/predict", 200, 17, "iris", 49.9925, 0.0075, timings)

    assert json.loads(lines()[0]) == {
        "time": "2023-11-14T22:13:20.500Z",
        "level": "info",
        "logger": "inferd.access",
        "request_id": "req-1",
        "method": "POST",
        "path": "/models/iris/predict",
        "model": "iris",
        "status": 200,
        "bytes": 17,
        "us": 7500,
        "decode_us": 100,
        "queue_us": 1000,
        "batch_us": 2000,
        "run_us": 3000,
        "encode_us": 200,
        "batch_size": 4,
    }


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "text"])
@pytest.mark.parametrize("timings", [Timings(), None], ids=["timed", "untimed"])
def test_a_request_in_a_trace_names_it(access, as_json, timings):
    log, lines = access(as_json=as_json)
    trace = parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    log.record("1", "GET", b"/", 200, 0, "", 50.0, 0.0, timings, trace)
    (line,) = lines()

    if as_json:
        assert json.loads(line)["trace_id"] == trace.trace_id
    else:
        assert line.endswith(f" trace={trace.trace_id}")


def test_the_readable_form_is_one_line_too(access):
    log, lines = access(as_json=False)
    log.record("req-1", "POST", b"/predict", 200, 17, "iris", 49.9925, 0.0075, Timings(run=0.003))
    log.record("req-2", "GET", b"/healthz", 200, 2, "", 49.9999, 0.0001)
    first, second = lines()

    assert first.startswith("22:13:20.500 ACCESS  POST /predict 200 17B 7.50ms id=req-1 model=iris")
    assert "run=3.00" in first
    assert second.endswith("GET /healthz 200 2B 0.10ms id=req-2")


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "text"])
@pytest.mark.parametrize(
    "hostile",
    ['/a"b', "/a\\", "/\n{}", "/\x1b[2J", "/\x7f", "/\xff", "/" + "x" * 9000],
    ids=["quote", "backslash", "newline", "escape", "del", "latin", "long"],
)
def test_no_path_or_id_can_forge_a_line(access, hostile, as_json):
    log, lines = access(as_json=as_json)
    log.record(hostile, "GET", hostile.encode("latin-1"), 404, 0, "\U0001f600" + hostile, 50.0, 0.0)
    found = lines()

    assert len(found) == 1
    assert found[0].isascii()
    assert found[0].isprintable()
    assert len(found[0]) < 10_000
    if as_json:
        assert json.loads(found[0])["path"] == hostile[:2048]


def test_paths_are_redacted(access):
    log, lines = access(redact=lambda text: text.replace("hunter2", "***"))
    log.record("1", "GET", b"/x?key=hunter2", 200, 0, "", 50.0, 0.0)

    assert json.loads(lines()[0])["path"] == "/x?key=***"


def test_nothing_is_written_before_the_timer_and_one_timer_serves_many(access, tmp_path):
    log, lines = access()
    for _ in range(10):
        log.record("1", "GET", b"/", 200, 0, "", 50.0, 0.0)

    assert len(log._loop.due) == 1
    assert (tmp_path / "log").read_text() == ""

    log._loop.due[0][1]()

    assert len(lines()) == 10


def test_a_long_list_does_not_wait_for_the_timer(access):
    log, lines = access()
    for _ in range(FLUSH_AT + 5):
        log.record("1", "GET", b"/", 200, 0, "", 50.0, 0.0)

    assert len(log._entries) == 5
    assert len(lines()) == FLUSH_AT + 5


def test_in_a_real_loop_lines_appear_by_themselves(tmp_path):
    async def run():
        fd = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
        writer = BoundedWriter(fd)
        writer.start()
        log = AccessLog(writer, asyncio.get_running_loop(), json=True)
        log.record("1", "GET", b"/", 200, 0, "", 50.0, 0.0)
        async with asyncio.timeout(10):
            while not (tmp_path / "log").read_text():
                await asyncio.sleep(0.01)
        writer.close()
        os.close(fd)

    asyncio.run(run())
