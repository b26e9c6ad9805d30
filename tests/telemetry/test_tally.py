import time

import pytest

from inferd.core.message import Timings
from inferd.telemetry import tally
from inferd.telemetry.tally import Tally


def test_requests_are_summed():
    found = Tally()

    found.answered([(Timings(queue=1, run=2), 3.0), (Timings(queue=1, batch=4, encode=5), 6.0)])
    found.failure(0.5)

    assert (found.succeeded, found.seconds) == (2, 9.0)
    assert (found.queue, found.run, found.batch, found.encode) == (2, 2, 4, 5)
    assert (found.failed, found.failed_seconds) == (1, 0.5)


def test_batches_are_told_apart_by_size():
    found = Tally()

    for rows in (1, 8, 8):
        found.ran(rows, 0.25, 0.5)

    assert (found.rows, found.runs) == (17, 3)
    assert {n: (s.count, s.batch, s.run) for n, s in found.sizes.items()} == {
        1: (1, 0.25, 0.5), 8: (2, 0.5, 1.0),
    }  # fmt: skip
    assert found.last == pytest.approx(time.time(), abs=5)


def test_the_sizes_kept_are_bounded(monkeypatch):
    monkeypatch.setattr(tally, "MAX_SIZES", 2)
    found = Tally()

    for rows in (1, 2, 3, 1):
        found.ran(rows, 0.0, 0.0)

    assert sorted(found.sizes) == [1, 2]
    assert (found.rows, found.runs) == (7, 4)
