import pytest
from tests.api.grpc.served import Served


@pytest.fixture(scope="module")
def served():
    with Served() as running:
        yield running
