"""A real server at the far side, shared by all tests of this folder."""

import shutil
from pathlib import Path

import pytest
from tests.system.serving import serving

MODELS = ("Echo", "Scalars", "Work", "Sizes", "Story")


@pytest.fixture(scope="session")
def far(tmp_path_factory):
    folder = tmp_path_factory.mktemp("far")
    shutil.copy(Path(__file__).with_name("far.py"), folder / "farmodels.py")
    names = [f"farmodels:{name}" for name in MODELS]
    with serving(folder, *names, "--instances", 1, "--slots", 1, cwd=folder, traces=True) as server:
        server.urls = {"http": "http://{}:{}".format(*server.data), "grpc": f"grpc://{server.grpc}"}
        yield server


@pytest.fixture(params=["http", "grpc"])
def url(request, far):
    return far.urls[request.param]
