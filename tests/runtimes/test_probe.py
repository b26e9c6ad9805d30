from __future__ import annotations

import pytest

from inferd.runtimes.probe import HEAD, probe


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        pytest.param("grüße, 你好\n".encode() * 500, "text", id="utf8-cut-in-a-letter"),
        pytest.param(b"\xef\xbb\xbf<html>", "html", id="bom"),
        pytest.param(b"   \n<!DOCTYPE HTML>", "html", id="blanks"),
        pytest.param(b"a" * HEAD + b"\0", "text", id="long-text"),
        pytest.param(b"\x01\x02\x03", "unknown", id="controls"),
        pytest.param(b"\xff\xfe\x00h", "unknown", id="utf16"),
        pytest.param(
            b"\x80\x04\x95" + b"\xff" * 50 + b"joblib.numpy_pickle", "joblib", id="joblib"
        ),
        pytest.param(b"x" * 257 + b"ustar\0", "tar", id="tar"),
    ],
)
def test_contents(tmp_path, data, kind):
    path = tmp_path / "file"
    path.write_bytes(data)
    assert probe(path).format == kind


def test_a_real_joblib_file(tmp_path):
    joblib = pytest.importorskip("joblib")
    numpy = pytest.importorskip("numpy")
    joblib.dump({"w": numpy.arange(1000.0)}, tmp_path / "m.joblib")
    assert probe(tmp_path / "m.joblib").format == "joblib"
