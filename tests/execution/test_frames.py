"""Frames: whole jobs and outcomes round trip; whatever a broken peer sends is a ``FrameError``."""

import math
import struct

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.execution.tensors import alike, same

from inferd.core.errors import KINDS, DeadlineExceeded, InferdError, ModelFailed
from inferd.execution import frames
from inferd.execution.blocks import Block, FrameError, each
from inferd.execution.frames import FAILED, HEAD, OK, Outcome, joined
from inferd.execution.layout import Layout

DEADLINES = st.one_of(st.floats(0, 1e9), st.just(math.inf))


def payload(parts):
    data = joined(parts)
    kind, size, handle = frames.parse_head(data[: HEAD.size])
    assert size == len(data) - HEAD.size
    return kind, handle, memoryview(data)[HEAD.size :]


@given(
    st.lists(alike(), min_size=1, max_size=4), st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1),
    st.data(),
)  # fmt: skip
def test_a_job_arrives_as_it_was_given(groups, handle, budget, data):
    entries = [(layout, tensors) for layout, group in map(with_layout, groups) for tensors in group]
    deadlines = [data.draw(DEADLINES) for _ in entries]
    parts, spans = frames.write_add(handle, entries, deadlines, budget)
    kind, got, body = payload(parts)
    job = frames.read_add(body, None)

    assert (kind, got, job.budget, list(job.deadlines)) == (frames.ADD, handle, budget, deadlines)
    assert spans == job.spans == []
    for entry, (_, original) in zip(each(job.blocks), entries, strict=True):
        assert same(entry, original)


def with_layout(group):
    """Return a group of like tensors with a layout that knows their size, as validation gives it."""
    plain = not any(a.dtype.hasobject for a in group[0].values())
    nbytes = sum(a.nbytes for a in group[0].values()) if plain else 0
    return Layout(1, (), 1, nbytes), group


def test_a_job_of_alike_entries_is_written_the_same_once_its_header_is_known():
    layout = Layout(1, (), 1, 8)
    inputs = [{"x": np.full((1, 2), i, np.float32)} for i in range(3)]
    assert frames.write_alike(7, layout, inputs, [1.0, 2.0, 3.0], 5) is None

    first, _ = frames.write_add(7, [(layout, t) for t in inputs], [1.0, 2.0, 3.0], 5)

    assert frames.write_alike(7, layout, inputs, [1.0, 2.0, 3.0], 5) == joined(first)


@given(alike(), st.booleans())
def test_a_known_header_changes_nothing(group, swapped):
    if swapped:
        group = [{n: a.astype(a.dtype.newbyteorder()) for n, a in e.items()} for e in group]
    varies = any(a.dtype.hasobject for a in group[0].values())
    size = 0 if varies else sum(a.nbytes for a in group[0].values())
    layout = Layout(1, (), 1, size)
    deadlines = [5.0] * len(group)
    whole = joined(frames.write_add(3, [(layout, e) for e in group], deadlines, 9)[0])
    quick = frames.write_alike(3, layout, group, deadlines, 9)

    if quick is not None:
        assert quick == whole
    else:
        assert size == 0 or swapped


def test_the_headers_a_layout_learns_are_bounded():
    layout, x = Layout(1, (), 1, 4), {"x": np.zeros(1, np.float32)}
    for n in range(1, 600):
        frames.write_add(1, [(layout, x)] * n, [1.0] * n, 0)

    assert len(layout.heads) == frames.HEADS_MAX
    assert frames.write_alike(1, layout, [x], [1.0], 0) is not None


def test_entries_of_one_layout_share_a_block_and_others_do_not():
    layout, other, x = Layout(1, (), 1, 8), Layout(1, (), 1, 8), {"x": np.zeros((1, 2), np.float32)}
    entries = [(layout, x), (layout, x), (other, x), (layout, x), (None, x), (None, x)]
    parts, _ = frames.write_add(1, entries, [1.0] * 6, 0)
    job = frames.read_add(payload(parts)[2], None)

    assert [b.count for b in job.blocks] == [2, 1, 1, 1, 1]


@st.composite
def outcomes(draw):
    groups = draw(st.lists(alike(most=1), max_size=4))
    status, errors, blocks = bytearray(), {}, []
    for group in groups:
        for _ in range(draw(st.integers(0, 2))):
            cls = draw(st.sampled_from(sorted(KINDS.values(), key=lambda c: c.kind)))
            error = cls.__new__(cls)
            InferdError.__init__(
                error, draw(st.text(max_size=20)), help=draw(st.none() | st.text())
            )
            errors[len(status)] = error
            status.append(FAILED)
        blocks.append(Block(1, group[0]))
        status.append(OK)
    seconds = st.floats(0, 1e6, width=32)
    return Outcome(
        bytes(status), blocks, errors, draw(seconds), draw(seconds), draw(st.floats(0, 1, width=32)),
        draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 2**32 - 1)),
    )  # fmt: skip


@given(outcomes(), st.integers(0, 2**64 - 1))
def test_an_outcome_arrives_as_it_was(outcome, handle):
    parts, spans = frames.write_outcome(handle, outcome)
    kind, got, body = payload(parts)
    back, read_spans = frames.read_outcome(body, len(outcome.status), None)

    assert (kind, got) == (frames.DONE, handle)
    assert spans == read_spans == []
    for name in ("status", "batch", "run", "fill", "rows", "reruns"):
        assert getattr(back, name) == getattr(outcome, name), name
    for entry, original in zip(each(back.blocks), each(outcome.blocks), strict=True):
        assert same(entry, original)
    assert set(back.errors) == set(outcome.errors)
    for i, error in outcome.errors.items():
        told = back.errors[i]
        assert type(told) is type(error)
        assert told.message == error.message.encode("utf-8", "replace").decode()


def test_an_error_crosses_in_bounded_valid_utf8():
    error = ModelFailed("\udc80" + "x" * 100_000, help="\ud800 help")
    parts, _ = frames.write_outcome(1, Outcome(bytes([FAILED]), [], {0: error}))
    back, _ = frames.read_outcome(payload(parts)[2], 1, None)

    assert len(back.errors[0].message) == frames.MESSAGE_MAX
    assert back.errors[0].message.startswith("?xx")
    assert back.errors[0].help == "? help"


def done(status=b"\0", errors=b"", blocks=0, size=None, run=0.0, tail=b""):
    size = len(errors) if size is None else size
    return struct.pack(
        "<IIIIddfI", len(status), blocks, 0, size, 0.0, run, 1.0, 0
    ) + status + errors + tail  # fmt: skip


TENSOR = b"\1\0x" + bytes((2, 1, 0)) + struct.pack("<QQQ", 1, 0, 1)
X = struct.pack("<IIH", 10 + len(TENSOR), 1, 1) + TENSOR + b"\7"
ONE = orjson.dumps([[0, "model_failed", "no", None]])


@pytest.mark.parametrize(
    ("data", "entries"),
    [
        (b"", 1),
        (done()[:-1], 1),
        (done(b"\0\0", blocks=1, tail=X), 1),
        (done(b"\0", blocks=0), 1),
        (done(b"\1", blocks=1, tail=X), 1),
        (done(b"\1", ONE, blocks=1, tail=X), 1),
        (done(b"\1", orjson.dumps([[1, "model_failed", "no", None]])), 1),
        (done(b"\1", orjson.dumps([[0, "model_failed"]])), 1),
        (done(b"\1", orjson.dumps({"a": 1})), 1),
        (done(b"\1", b"[[0,"), 1),
        (done(b"\1", ONE, size=2**31), 1),
        (done(b"\0", blocks=1, tail=X[:-1]), 1),
        (done(b"\0", blocks=2, tail=X + X), 1),
        (done(b"\0", blocks=1, run=math.nan, tail=X), 1),
        (done(b"\0", blocks=1, run=-1.0, tail=X), 1),
        (done(b"\0", blocks=1, run=math.inf, tail=X), 1),
    ],
    ids=[
        "empty", "no-status", "other-count", "ok-without-block", "failed-without-error",
        "failed-with-block", "error-of-another", "short-error", "errors-not-a-list", "broken-json",
        "errors-longer-than-frame", "block-ends-early", "too-many-blocks", "nan", "negative", "inf",
    ],
)  # fmt: skip
def test_impossible_outcomes_are_refused(data, entries):
    with pytest.raises(FrameError):
        frames.read_outcome(memoryview(data), entries, None)


def test_the_handmade_outcome_itself_is_sound():
    back, _ = frames.read_outcome(
        memoryview(done(b"\0\1", ONE.replace(b"0", b"1"), 1, tail=X)), 2, None
    )

    assert back.blocks[0].tensors["x"].tolist() == [7]
    assert back.errors[1].kind == "model_failed"


@given(st.binary(max_size=150), st.integers(0, 4))
def test_hostile_outcomes_end_in_a_frame_error_or_in_an_outcome(data, entries):
    try:
        back, _ = frames.read_outcome(memoryview(data), entries, memoryview(bytes(64)))
    except FrameError:
        return
    assert len(each(back.blocks)) + len(back.errors) == entries


@given(outcomes(), st.data())
def test_a_damaged_outcome_ends_in_a_frame_error_or_in_an_outcome(outcome, data):
    body = bytearray(payload(frames.write_outcome(1, outcome)[0])[2])
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    entries = len(outcome.status)
    try:
        back, _ = frames.read_outcome(memoryview(bytes(body)), entries, None)
    except FrameError:
        return
    assert len(each(back.blocks)) + len(back.errors) == entries


@given(st.binary(max_size=150))
def test_hostile_jobs_end_in_a_frame_error_or_in_a_job(data):
    try:
        job = frames.read_add(memoryview(data), memoryview(bytes(64)))
    except FrameError:
        return
    assert len(each(job.blocks)) == len(job.deadlines)


@pytest.mark.parametrize(
    "head",
    [HEAD.pack(0, 0, 0), HEAD.pack(12, 0, 0), HEAD.pack(1, frames.MAX_PAYLOAD + 1, 0)],
    ids=["kind-0", "kind-12", "too-long"],
)
def test_impossible_heads_are_refused(head):
    with pytest.raises(FrameError):
        frames.parse_head(head)


def test_a_frame_over_the_limit_is_not_built():
    huge = np.empty(frames.MAX_PAYLOAD + 1, np.uint8)  # never touched, so it costs no memory

    with pytest.raises(FrameError, match="over the"):
        frames.frame(frames.ADD, 1, [huge])


def test_json_frames_hold_json():
    kind, handle, body = payload(frames.json_frame(frames.LOAD, 7, {"a": [1]}))

    assert (kind, handle, orjson.loads(body)) == (frames.LOAD, 7, {"a": [1]})


def test_kinds_have_names():
    assert frames.KINDS[frames.CREDIT] == "credit"
    assert len(frames.KINDS) == frames.END + 1


def test_a_retryable_error_crosses_without_its_time():
    parts, _ = frames.write_outcome(
        1, Outcome(bytes([FAILED]), [], {0: DeadlineExceeded("late", help="ask sooner")})
    )
    back, _ = frames.read_outcome(payload(parts)[2], 1, None)

    assert str(back.errors[0]) == "late\nhelp: ask sooner"
