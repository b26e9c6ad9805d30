"""A real server with the models of ``models.py``, asked through either client."""

import shutil
from pathlib import Path

import pytest
from tests.client.serving import CLIENTS
from tests.system.serving import serving

MODELS = ("Sums", "People", "Bytes", "Grid", "Pixels", "Story", "Lists", "Slow")


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("client")
    shutil.copy(Path(__file__).with_name("models.py"), folder / "asked.py")
    names = [f"asked:{name}" for name in MODELS]
    with serving(
        folder, *names, "--instances", 1, "--slots", 1, cwd=folder, traces=True
    ) as running:
        host, port = running.data
        running.url = f"http://{host}:{port}"
        yield running


@pytest.fixture(params=list(CLIENTS))
def make(request):
    """Makes clients of one kind and closes them."""
    made = []

    def client(url, **options):
        made.append(CLIENTS[request.param](url, **options))
        return made[-1]

    yield client
    for each in made:
        each.close()


@pytest.fixture
def client(make, server):
    return make(server.url)
