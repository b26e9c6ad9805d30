from __future__ import annotations

import zipfile

import pytest

from inferd.runtimes.archive import open_archive
from inferd.runtimes.protowalk import Corrupt


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("root/data.pkl", b"12345")
        z.writestr("root/code/a.py", b"x")
    return path


def test_the_common_root_is_taken_off(archive):
    found = open_archive(archive)

    assert found.root == "root/" and found.sizes == {"data.pkl": 5, "code/a.py": 1}
    assert "data.pkl" in found and found.under("code/") == ["code/a.py"]
    assert found.read("data.pkl", 5) == b"12345"


def test_reads_are_bounded(archive):
    with pytest.raises(Corrupt, match="has 5 bytes, over 4"):
        open_archive(archive).read("data.pkl", 4)


def test_archives_of_pytorch_with_both_ends(torch_files):
    assert "data.pkl" in open_archive(torch_files["state.pth"])


def test_zip64_without_a_plain_end(tmp_path):
    path = tmp_path / "big.zip"
    with zipfile.ZipFile(path, "w") as z:
        for i in range(66_000):
            z.writestr(f"m/{i}", b"")
    assert len(open_archive(path).sizes) == 66_000


def test_a_damaged_payload_is_found(archive):
    data = bytearray(archive.read_bytes())
    data[data.index(b"12345")] ^= 1
    archive.write_bytes(bytes(data))
    with pytest.raises(Corrupt, match="cannot be unpacked"):
        open_archive(archive).read("data.pkl", 10)


def test_an_empty_archive(tmp_path):
    path = tmp_path / "empty.zip"
    with zipfile.ZipFile(path, "w"):
        pass
    assert open_archive(path).sizes == {}
