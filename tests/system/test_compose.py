"""What ``inferd compose`` writes for a pipeline of three services, run by Docker, Compose and NGINX."""

import asyncio
import json
import secrets
import ssl
import time

import pytest
import trustme
from tests.system import chained, images
from tests.system.serving import serving
from tests.system.stack import Stack, ask, call, inferd
from tests.system.traffic import Load, counts, request, run, summary
from tests.system.serving import until

pytestmark = pytest.mark.timeout(300)

RATE = 50
ROW = [1.0, 2.0, 3.0, 4.0]
CHAIN = "/models/chain/predict"


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return chained.write(tmp_path_factory.mktemp("repository") / "models")


@pytest.fixture(scope="module")
def stack(engine, repository, tmp_path_factory):
    """Two replicas of the pipeline and of one of its models, one of the other, and NGINX."""
    for base in (images.PYTHON, images.NGINX):
        images.provide(engine, base)
    made = Stack(
        engine, tmp_path_factory.mktemp("stack") / "compose", repository,
        "--services", "double,shift", "--replicas", "2,shift=2", "--memory", "512m",
    )  # fmt: skip
    begin = time.monotonic()
    try:
        seconds = made.up()
        print(f"\nbuilt in {time.monotonic() - begin - seconds:.1f} s, all healthy in {seconds:.1f} s")
        yield made
    finally:
        made.down()
