"""Requests as the queue sees them, without an event loop."""

import numpy as np

from inferd.execution.executor import Entry
from inferd.execution.layout import Layout

LAYOUTS = {}


def layout(rows=1, key=(), length=1, nbytes=4):
    found = LAYOUTS.get((rows, key, length))
    if found is None:
        found = LAYOUTS[rows, key, length] = Layout(rows, key, length, nbytes)
    return found


def entry(rows=1, *, key=(), length=1, priority=0, nbytes=10, deadline=float("inf"), future=None):
    inputs = {"x": np.zeros((rows, length), np.int8)}
    return Entry(
        inputs, layout(rows, key, length), future, deadline=deadline, enqueued=0.0,
        priority=priority, nbytes=nbytes, length=length,
    )  # fmt: skip
