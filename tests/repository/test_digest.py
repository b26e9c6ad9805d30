from __future__ import annotations

import hashlib

import pytest

from inferd.core.errors import ModelFileError
from inferd.repository.digest import CHUNK, digest


def test_a_file_has_its_sha256(tmp_path):
    data = b"ab" * CHUNK
    (tmp_path / "m").write_bytes(data)
    assert digest(tmp_path / "m") == hashlib.sha256(data).hexdigest()


def test_a_directory_has_one_of_names_and_bytes(tree):
    first = digest(tree({"a/x": "1", "b": "2", ".hidden": "3", "__pycache__/c": "4"}, name="one"))
    assert first == digest(tree({"a/x": "1", "b": "2"}, name="two"))
    assert first != digest(tree({"a/x": "1", "c": "2"}, name="three"))
    assert first != digest(tree({"a/x": "12", "b": ""}, name="four"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelFileError, match="gone"):
        digest(tmp_path / "gone")
