"""Every test of a connection is run for each way in which an application may answer."""

import pytest
from tests.transport.serving import App

WAYS = ("handled", "started", "at once")
CONNECTIONS = ("test_connection", "test_answers", "test_limits", "test_server", "test_lifetime")


def pytest_generate_tests(metafunc):
    if metafunc.module.__name__.rpartition(".")[2] in CONNECTIONS:
        metafunc.fixturenames.append("way")
        metafunc.parametrize("way", WAYS, indirect=True)


@pytest.fixture
def way(request, monkeypatch):
    monkeypatch.setattr(App, "way", request.param)
