"""Blocks: what is written is what is read; anything else is refused as a ``FrameError``."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.execution.tensors import alike, arrays, same

from inferd.core.errors import InvalidInput
from inferd.execution import blocks
from inferd.execution.blocks import (
    SHARED_MIN,
    Block,
    BlockReader,
    BlockWriter,
    FrameError,
    each,
    pack_bytes,
    unpack_bytes,
)
from inferd.execution.frames import joined


def written(groups, place=None):
    writer = BlockWriter(place)
    for group in groups:
        writer.add(group, len(group))
    return joined([b"".join(writer.heads), *writer.data]), writer


def read(data, blocks, shared=None):
    reader = BlockReader(memoryview(data), 0, shared)
    return reader.read(blocks), reader


@given(st.lists(alike(), min_size=1, max_size=4))
def test_every_entry_comes_back_as_it_was(groups):
    data, writer = written(groups)
    found, reader = read(data, writer.count)

    assert reader.position == len(data)
    assert [b.count for b in found] == [len(g) for g in groups]
    for entry, original in zip(each(found), [e for g in groups for e in g], strict=True):
        assert same(entry, original)


def test_a_scalar_and_a_vector_of_an_unbatched_model_come_back():
    entry = {"scale": np.array(2.5, np.float32), "x": np.arange(3, dtype=np.int64)}
    data, writer = written([[entry]])
    (found,), _ = read(data, writer.count)

    assert same(found.tensors, entry)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.float32).reshape(3, 4).T,
        np.arange(12, dtype=np.float32)[::2],
        np.arange(4, dtype=">f4"),
        np.array(["grüße", ""]),
        np.array([b"ab", b"c"]),
        np.array([], dtype=np.int8),
    ],
    ids=["transposed", "strided", "big-endian", "str", "fixed-bytes", "empty"],
)
def test_arrays_of_any_memory_layout_arrive_with_their_values(array):
    data, writer = written([[{"x": array}]])
    (found,), _ = read(data, writer.count)
    texts = array.dtype.kind in "SU"
    expected = [v.encode() if isinstance(v, str) else v for v in array.tolist()] if texts else array

    assert found.tensors["x"].shape == array.shape
    assert np.array_equal(found.tensors["x"].tolist(), expected)


def test_names_of_any_length_arrive():
    name = "StatefulPartitionedCall/" * 40
    data, writer = written([[{name: np.zeros(1, np.int8)}]])
    (found,), _ = read(data, writer.count)

    assert list(found.tensors) == [name]


@pytest.mark.parametrize("bad", [3, None, object()], ids=["int", "none", "object"])
def test_a_bytes_tensor_holds_texts_only(bad):
    with pytest.raises(InvalidInput, match="must be text or bytes"):
        pack_bytes(np.array([b"fine", bad], dtype=object))


@given(st.lists(st.binary(max_size=20), max_size=8))
def test_bytes_elements_round_trip(elements):
    array = np.empty(len(elements), dtype=object)
    array[:] = elements

    assert unpack_bytes(pack_bytes(array), len(elements)).tolist() == elements


@pytest.mark.parametrize(
    ("data", "count", "reason"),
    [
        (b"\1\0\0", 1, "ends early"),
        (b"\5\0\0\0ab", 1, "longer than its tensor"),
        (b"\1\0\0\0ab", 1, "left over"),
        (b"", 1, "ends early"),
    ],
    ids=["half-length", "too-long", "left-over", "nothing"],
)
def test_malformed_bytes_tensors_are_refused(data, count, reason):
    with pytest.raises(FrameError, match=reason):
        unpack_bytes(data, count)


@given(st.binary(max_size=120), st.integers(0, 2**32 - 1))
def test_hostile_bytes_end_in_a_frame_error_or_in_blocks(data, blocks):
    try:
        found, _ = read(data, blocks)
    except FrameError:
        return
    assert all(a.nbytes <= len(data) for b in found for a in b.tensors.values())


@given(st.lists(alike(), min_size=1, max_size=3), st.data())
def test_a_damaged_frame_ends_in_a_frame_error_or_in_blocks(groups, data):
    whole, writer = written(groups)
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        found, _ = read(bytes(damaged), writer.count, memoryview(bytes(64)))
    except FrameError:
        return
    few = [b for b in found if b.count < 1000]  # a frame's entries bound the count
    assert len(each(few)) == sum(b.count for b in few)


@given(alike(), st.data())
def test_a_frame_that_ends_early_is_refused(group, data):
    whole, writer = written([group])
    with pytest.raises(FrameError):
        read(whole[: data.draw(st.integers(0, len(whole) - 1))], writer.count)


def head(count=1, *, code=11, dims=(2,), place=0, offset=0, size=8, longer=0):
    tensor = (
        b"\1\0x" + bytes((code, len(dims), place))
        + struct.pack(f"<{len(dims)}Q", *dims) + struct.pack("<QQ", offset, size)
    )  # fmt: skip
    return struct.pack("<IIH", 10 + len(tensor) + longer, count, 1) + tensor


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (head(0) + bytes(8), "no entries"),
        (head(code=99) + bytes(8), "malformed"),
        (head(size=12) + bytes(12), "does not fit its shape"),
        (head() + bytes(4), "longer than its frame"),
        (head(dims=(2**63, 2), size=0), "does not fit its shape"),
        (head(dims=(0, 2**64 - 1), size=0), "malformed"),
        (head(dims=(0,) * 200, size=0), "malformed"),
        (head(code=13, dims=(2**40,), size=4) + bytes(4), "too short for its shape"),
        (head(place=1, offset=100), "outside the shared memory"),
        (head(place=1, offset=2**64 - 4), "outside the shared memory"),
        (head(3, dims=(2,)) + bytes(8), "divide evenly"),
        (head(2, dims=(), size=4) + bytes(4), "divide evenly"),
        (head(longer=3) + bytes(11), "another size"),
        (head(longer=-3) + bytes(8), "malformed|another size"),
        (head(longer=2**31) + bytes(8), "longer than its frame"),
    ],
    ids=[
        "no-entries", "unknown-dtype", "size-and-shape", "short", "overflow", "huge-dim",
        "many-dims", "bytes-bomb", "outside", "offset-wraps", "uneven-rows", "shared-scalar", "head-has-more",
        "head-has-less", "head-endless",
    ],
)  # fmt: skip
def test_impossible_heads_are_refused_before_anything_is_allocated(data, reason):
    with pytest.raises(FrameError, match=reason):
        read(data, 1, memoryview(bytes(64)))


def test_large_tensors_go_to_shared_memory_and_small_ones_do_not():
    shared = bytearray(1 << 20)
    offsets = iter([4096, 512 * 1024])

    def place(size):
        offset = next(offsets)
        return offset, memoryview(shared)[offset : offset + size]

    large = np.arange(SHARED_MIN, dtype=np.int32).reshape(4, -1)
    entries = [{"big": large, "small": np.arange(4.0)} for _ in range(2)]
    data, writer = written([entries], place)
    found, reader = read(data, writer.count, memoryview(shared))

    assert writer.spans == [(4096, 8 * SHARED_MIN)] == reader.spans
    assert len(data) < 200
    assert all(same(e, entries[0]) for e in each(found))


def test_a_full_shared_memory_sends_inline():
    large = {"x": np.arange(SHARED_MIN, dtype=np.uint8)}
    data, writer = written([[large]], lambda _size: None)
    found, _ = read(data, writer.count)

    assert not writer.spans
    assert same(found[0].tensors, large)


@given(arrays(), st.integers(1, 3))
def test_a_block_counts_its_rows(array, times):
    whole = np.concatenate([array] * times)

    assert Block(times, {"x": whole}).rows() == array.shape[0] * times
    assert Block(5, {"x": np.array(1.0)}).rows() == 5


def test_headers_of_a_hostile_peer_do_not_fill_the_memory():
    name = b"n" * 60_000
    for i in range(3):
        tensor = struct.pack("<H", len(name)) + name + bytes((2, 1, 0))
        tensor += struct.pack("<QQQ", i, 0, i)
        data = struct.pack("<IIH", 10 + len(tensor), 1, 1) + tensor + bytes(i)
        assert read(data, 1)[0][0].tensors[name.decode()].shape == (i,)

    assert all(len(raw) <= blocks.REMEMBERED_MAX for raw in blocks._READ)
    assert len(blocks._READ) <= blocks.REMEMBERED


def test_the_header_of_a_long_list_is_not_remembered():
    few, many = ({f"s.x[{i}]": np.zeros(1) for i in range(n)} for n in (2, 200))
    before = set(blocks._WRITTEN)
    _, writer = written([[many]])
    assert not writer.constant and set(blocks._WRITTEN) == before
    _, writer = written([[few]])
    assert writer.constant
