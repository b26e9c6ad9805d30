import contextlib
import io
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.codecs.signatures import signature

from inferd.codecs.npz import MAX_MEMBERS, NpzCodec, read, write, write_npy
from inferd.core.errors import InvalidInput, TooLarge
from inferd.core.plan import BatchPlan

TWO = signature([("a", "FP32", [-1, 2]), ("b", "INT64", [-1])])
ONE = signature([("x", "FP32", [-1, 2])])


def saved(*lone, compress=False, **arrays):
    out = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(out, *lone, **arrays)
    return out.getvalue()


@pytest.mark.parametrize("compress", [False, True], ids=["stored", "deflated"])
def test_arrays_are_inputs_by_name(compress):
    found = NpzCodec(TWO).decode(saved(compress=compress, a=np.ones((3, 2)), b=np.arange(3)))

    assert found.inputs["a"].dtype == np.float32 and found.inputs["a"].shape == (3, 2)
    assert found.inputs["b"].tolist() == [0, 1, 2]
    assert not found.single


def test_ranks_say_whether_it_is_one_example():
    found = NpzCodec(TWO).decode(saved(a=np.ones(2), b=np.array(7)))

    assert found.single
    assert found.inputs["a"].shape == (1, 2) and found.inputs["b"].tolist() == [7]


def test_a_lone_array_needs_no_name():
    assert NpzCodec(ONE).decode(saved(arr_0=np.ones((2, 2)))).inputs["x"].shape == (2, 2)


def test_rows_are_apart_where_the_plan_says_so():
    found = NpzCodec(ONE, BatchPlan(split=True)).decode(saved(x=np.ones((2, 2))))

    assert [row["x"].shape for row in found.rows] == [(1, 2), (1, 2)]


def test_a_model_without_batches_takes_its_tensors():
    plain = signature([("a", "FP32", [2]), ("b", "INT64", [-1])], batched=False)

    assert NpzCodec(plain).decode(saved(a=np.ones(2), b=np.arange(5))).single


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"no archive", "not an npz archive"),
        (saved(a=np.ones((3, 2))), "'b' is missing"),
        (saved(a=np.ones((3, 2)), c=np.arange(3)), "no input named 'c'"),
        (saved(a=np.ones((3, 2)), b=np.arange(2)), "equally many examples"),
        (saved(a=np.ones((3, 2)), b=np.array(1)), "one example and another array is a batch"),
        (saved(a=np.ones((3, 5)), b=np.arange(3)), "must have shape"),
        (saved(a=np.ones((0, 2)), b=np.arange(0)), "equally many examples"),
    ],
    ids=["garbage", "missing", "unknown", "sizes", "mixed", "shape", "empty"],
)
def test_what_does_not_fit_is_refused(body, says):
    with pytest.raises(InvalidInput, match=says):
        NpzCodec(TWO).decode(body)


def test_nothing_is_unpickled():
    out = io.BytesIO()
    np.savez(out, a=np.array([{"x": 1}], object), b=np.arange(1), allow_pickle=True)

    with pytest.raises(InvalidInput, match="'a' in the npz archive"):
        NpzCodec(TWO).decode(out.getvalue())


def archive(**members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return out.getvalue()


def test_a_small_archive_cannot_become_large():
    bomb = archive(a=b"\0" * (80 << 20))

    assert len(bomb) < 100_000
    with pytest.raises(TooLarge):
        read(bomb)


def test_a_size_that_lies_is_found_out():
    body = archive(**{"a.npy": write_npy(np.zeros(1 << 20, np.uint8))})
    small = (1000).to_bytes(4, "little")
    lied = body.replace((len(write_npy(np.zeros(1 << 20, np.uint8)))).to_bytes(4, "little"), small)

    assert lied != body
    with pytest.raises(InvalidInput):
        read(lied, limit=2000)


def test_members_are_counted():
    with pytest.raises(TooLarge, match=str(MAX_MEMBERS)):
        read(archive(**{f"{i}.npy": b"" for i in range(MAX_MEMBERS + 1)}))


def test_one_name_twice_is_refused():
    array = write_npy(np.ones(1))
    with pytest.raises(InvalidInput, match="twice"):
        read(archive(**{"a.npy": array, "a": array}))


def test_numpy_reads_what_is_written():
    arrays = {"a": np.arange(6).reshape(2, 3), "b": np.array(["ä", "b"]), "c": np.array(1.5)}

    with np.load(io.BytesIO(write(arrays))) as found:
        assert {k: v.tolist() for k, v in found.items()} == {
            k: v.tolist() for k, v in arrays.items()
        }


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_archive_is_bad_input(data):
    body = bytearray(saved(compress=True, a=np.ones((3, 2)), b=np.arange(3)))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InvalidInput):
        NpzCodec(TWO).decode(bytes(body[: data.draw(st.integers(0, len(body)))]))


def test_an_archive_that_lost_its_begin_is_refused():
    with pytest.raises(InvalidInput, match="not an npz archive"):
        read(saved(x=np.ones((1, 2)))[1:])


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
def test_methods_that_numpy_does_not_write_are_refused(method):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("x.npy", write_npy(np.ones((1, 2))))

    with pytest.raises(InvalidInput, match="neither stored nor deflated"):
        read(out.getvalue())


def test_an_input_that_has_a_default_may_be_left_out():
    sig = signature([("a", "FP32", [-1, 2]), ("b", "INT64", [-1], {"default": 5})])

    assert list(NpzCodec(sig).decode(saved(a=np.ones((3, 2)))).inputs) == ["a"]
    assert list(NpzCodec(sig).decode(saved(np.ones((3, 2)))).inputs) == ["a"]
    with pytest.raises(InvalidInput, match="'a' is missing"):
        NpzCodec(sig).decode(saved(b=np.arange(3)))
