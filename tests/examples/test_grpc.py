"""The session of docs/grpc.md, as it stands, against a real server."""

import contextlib
import io
import re
from pathlib import Path

import pytest
from tests.system import models
from tests.system.serving import serving

from inferd.api.grpc.session import AT_ONCE
from inferd.server.grpclistener import ANSWER_WITHIN, CALLS, CALLS_OF_A_CONNECTION, DEAD_AFTER

TEXT = (Path(__file__).parents[2] / "docs" / "grpc.md").read_text()
SHOWN = re.findall(r"```python\n(.*?)```\n\n```\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grpc")
    with serving(folder / "server", models.affine(folder / "double.onnx")) as server:
        yield server.grpc


def test_the_session(address):
    names = {}
    for code, printed in SHOWN:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(code.replace("127.0.0.1:8001", address), names)
        assert out.getvalue() == printed
    names["client"].close()
    assert len(SHOWN) == 3


def test_the_figures_are_those_of_the_code():
    assert f"at\nmost {AT_ONCE} requests" in TEXT
    assert f"at most {CALLS_OF_A_CONNECTION} calls under way, all together {CALLS}" in TEXT
    assert f"after {(DEAD_AFTER + ANSWER_WITHIN) // 1000} seconds" in TEXT
