import logging
import threading
import time

import pytest

from inferd.core.message import Timings
from inferd.core.trace import Span, root
from inferd.telemetry.spanqueue import SpanQueue


class Exporter:
    """Keeps spans; ``open`` lets exports go on, ``error`` makes them fail."""

    def __init__(self):
        self.spans = []
        self.calls = 0
        self.epochs = []
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()
        self.error = None
        self.closed = 0

    def export(self, spans, epoch):
        self.entered.set()
        self.open.wait(30)
        self.calls += 1
        if self.error is not None:
            raise self.error
        self.spans += spans
        self.epochs.append(epoch)

    def close(self):
        self.closed += 1
        self.open.set()


@pytest.fixture
def exporter():
    return Exporter()


@pytest.fixture
def queue(exporter):
    """Make started queues and close them."""
    made = []

    def make(**more):
        found = SpanQueue(lambda: exporter, **more)
        found.start()
        made.append(found)
        return found

    yield make
    exporter.open.set()
    for each in made:
        each.close(5)


def span(name="s", **more):
    return Span(name, root(), 1.0, 2.0, **more)


def until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_spans_arrive_in_order_with_those_made_of_them(queue, exporter):
    spans = queue(interval=0.01)
    spans.record(span("a", within=Timings(run=0.5, began=1.2)))
    spans.record(span("b"))
    until(lambda: spans.exported == 3)

    assert [s.name for s in exporter.spans] == ["a", "run", "b"]


def test_a_full_batch_does_not_wait_for_the_interval(queue, exporter):
    spans = queue(interval=600, batch=4)
    for _ in range(4):
        spans.record(span())
    until(lambda: spans.exported == 4)


def test_the_thread_rests_between_batches_that_cost_time(queue, exporter):
    begun = []

    def export(spans, epoch):
        begun.append(time.monotonic())
        end = time.thread_time() + 0.05
        while time.thread_time() < end:
            pass

    exporter.export = export
    spans = queue(interval=0.01, batch=1)
    for _ in range(3):
        spans.record(span())
    until(lambda: len(begun) == 3)

    assert begun[2] - begun[0] > 2 * 0.05 * 3.9  # two batches and a rest thrice as long after each


def test_what_waits_leaves_when_it_is_closed(queue, exporter):
    spans = queue(interval=600)
    for _ in range(10):
        spans.record(span())
    spans.close(10)
    spans.close(10)

    assert (spans.exported, spans.dropped, exporter.closed) == (10, 0, 1)
    spans.record(span())
    assert spans.dropped == 1


def test_what_there_is_no_room_for_is_dropped_at_once(queue, exporter):
    spans = queue(interval=600, most=5, batch=2)
    exporter.open.clear()
    for _ in range(2):
        spans.record(span())
    assert exporter.entered.wait(10)
    begin = time.monotonic()
    for _ in range(1000):
        spans.record(span())

    assert time.monotonic() - begin < 5
    assert spans.dropped == 995
    exporter.open.set()
    until(lambda: spans.exported == 7)


def test_an_exporter_that_hangs_does_not_hold_up_the_end(queue, exporter, caplog):
    spans = queue(interval=600, batch=2)
    exporter.open.clear()
    exporter.close = lambda: None
    for _ in range(3):
        spans.record(span())
    assert exporter.entered.wait(10)
    begin = time.monotonic()
    with caplog.at_level(logging.WARNING, "inferd"):
        spans.close(0.1)

    assert time.monotonic() - begin < 5
    assert (spans.failed, spans.dropped) == (2, 1)
    assert [r.fields["spans"] for r in caplog.records] == [3]


def test_failures_are_counted_and_told_of_now_and_then(queue, exporter, caplog):
    exporter.error = OSError("no route")
    with caplog.at_level(logging.WARNING, "inferd"):
        spans = queue(interval=0.01, quiet=600)
        for i in range(3):
            spans.record(span())
            until(lambda: spans.failed == i + 1)
        assert [r.fields for r in caplog.records] == [{"reason": "no route", "spans": 1}]
        spans.close(5)

    assert [r.fields["spans"] for r in caplog.records] == [1, 2]


def test_it_goes_on_after_a_failure(queue, exporter):
    spans = queue(interval=0.01)
    exporter.error = ValueError()
    spans.record(span())
    until(lambda: spans.failed == 1)
    exporter.error = None
    spans.record(span())
    until(lambda: spans.exported == 1)


def test_monotonic_times_become_those_of_the_wall(queue, exporter):
    spans = queue(interval=0.01)
    now = time.monotonic()
    spans.record(span())
    until(lambda: spans.exported == 1)

    assert abs(exporter.epochs[0] + int(now * 1e9) - time.time_ns()) < 5e9


def test_the_clock_being_set_moves_later_spans_only(queue, exporter, monkeypatch):
    spans = queue(interval=0.01)
    spans.record(span())
    until(lambda: spans.exported == 1)
    real = time.time_ns
    monkeypatch.setattr("time.time_ns", lambda: real() + 10_000_000_000)
    spans.record(span())
    until(lambda: spans.exported == 2)

    assert abs(exporter.epochs[1] - exporter.epochs[0] - 10_000_000_000) < 60_000_000


def test_an_exporter_that_cannot_be_made_fails_the_start():
    def broken():
        raise OSError("no")

    spans = SpanQueue(broken)
    with pytest.raises(OSError, match="no"):
        spans.start()
    spans.close(1)
