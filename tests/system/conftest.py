"""Everything here is marked ``system``: it runs minutes, and only where asked for.

What asks for the Docker engine is marked ``containers`` too, for machines that cannot have one.
"""

from pathlib import Path

import pytest
from tests.system.engine import Engine

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.system)
            if "engine" in item.fixturenames:
                item.add_marker(pytest.mark.containers)


@pytest.fixture(scope="session")
def engine():
    with Engine() as running:
        yield running
