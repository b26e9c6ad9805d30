"""What asks models is tested with each kind of servable: awaited, and answering without a coroutine."""

import pytest
from tests.api.serving import SERVABLES, Numpy

ASKING = (
    "test_inference",
    "test_simple",
    "test_oip",
    "test_plane",
    "test_tfserving",
    "test_sagemaker",
)
STARTING = ("test_reply",)


def pytest_generate_tests(metafunc):
    module = metafunc.module.__name__.rpartition(".")[2]
    kinds = [k for k in SERVABLES if module in ASKING or (module in STARTING and k != "awaited")]
    if kinds:
        metafunc.fixturenames.append("servable")
        metafunc.parametrize("servable", kinds, indirect=True)


@pytest.fixture
def servable(request, monkeypatch):
    monkeypatch.setattr(Numpy, "chosen", SERVABLES[request.param])
    return SERVABLES[request.param]
