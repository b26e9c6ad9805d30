from __future__ import annotations

import collections
import os
import pickle

import pytest

from inferd.runtimes.pickles import (
    Imports,
    looks_like_pickle,
    scan_bytes,
    scan_file,
    scan_torch_legacy,
)  # fmt: skip
from inferd.runtimes.protowalk import Corrupt


class System:
    def __reduce__(self):
        return (os.system, ("true",))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_imports_are_read_from_opcodes(protocol):
    plain = scan_bytes(pickle.dumps(collections.OrderedDict(a=[1, "x", b"y"]), protocol))
    assert plain.foreign == ()

    evil = scan_bytes(pickle.dumps([System()], protocol))
    assert evil.foreign == ("posix system",) and not evil.torch


def test_state_dicts_hold_only_tensors(torch_files):
    assert scan_torch_legacy(torch_files["legacy.pth"]).foreign == ()
    assert scan_torch_legacy(torch_files["legacy.pth"]).torch
    assert Imports(("net Net", "torch FloatStorage")).foreign == ("net Net",)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        b"\x80\x02",
        b"\x80\x02c",
        b"\x80\x02X\xff\xff\xff\x7fab",
        b"I" + b"9" * 10_000,
        b"\xff",
    ],
    ids=["empty", "head", "endless", "cut", "claims", "number", "opcode"],
)
def test_damage_is_said(data):
    with pytest.raises(Corrupt, match="damaged"):
        scan_bytes(data)


def test_files(tmp_path):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"a": 1}))
    assert scan_file(path).names == ()
    assert looks_like_pickle(path.read_bytes()) and not looks_like_pickle(b"PK\x03\x04")
