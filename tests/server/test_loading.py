"""Loading at the platform's request, with real workers: confined, bounded, and nothing left behind."""

import asyncio
import os

import pytest
from tests.execution.workers import CURVE
from tests.system.models import affine

from inferd.api.loading import AlreadyLoaded, NoMemory, Present
from inferd.control.curves import CurveStore
from inferd.control.loader import Loader, LoadSettings
from inferd.core.errors import InvalidInput, NotFound, Overloaded
from inferd.repository.store import scan
from inferd.routing.table import RouteTable
from inferd.runtimes.detect import Detector
from inferd.server.loading import AT_ONCE, ModelLoading


class Remembered(CurveStore):
    def get(self, key):
        return CURVE


@pytest.fixture
def base(tmp_path):
    for name in ("iris", "other"):
        (tmp_path / "models" / name / "model").mkdir(parents=True)
        affine(tmp_path / "models" / name / "model" / "model.onnx")
    return tmp_path / "models"


def run(base, main, **more):
    """Run ``main(loading, table)``; whatever is loaded is stopped."""

    async def all_of_it():
        loader = Loader(
            RouteTable(), LoadSettings(instances=1, executor="inline"), Remembered(None)
        )
        loading = ModelLoading(loader, base, lambda path: scan([path], Detector()), **more)
        try:
            async with asyncio.timeout(30):
                await main(loading, loader.table)
        finally:
            await loader.stop(0.0)

    asyncio.run(all_of_it())


def test_a_model_comes_and_goes(base):
    path = str(base / "iris" / "model")

    async def main(loading, table):
        await loading.load("a1b2", path)
        assert table.find("a1b2").ready
        assert loading.present() == [Present("a1b2", path)]
        with pytest.raises(AlreadyLoaded):
            await loading.load("a1b2", path)
        await loading.load("again", path)
        await loading.unload("a1b2")
        assert table.names() == ["again"]
        assert [p.name for p in loading.present()] == ["again"]
        with pytest.raises(NotFound):
            await loading.unload("a1b2")

    run(base, main)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/etc", InvalidInput),
        ("{base}", InvalidInput),
        ("{base}/../secret", InvalidInput),
        ("{base}/link", InvalidInput),
        ("{base}/link/model.onnx", InvalidInput),
        ("iris/model", InvalidInput),
        ("{base}/none", NotFound),
        ("{base}/iris\0", NotFound),
        ("s3://bucket/model", NotFound),
        ("file://{base}/iris/model", NotFound),
        ("{base}/empty", InvalidInput),
        ("{base}/broken", InvalidInput),
        ("{base}/two", InvalidInput),
    ],
)
def test_a_path_is_confined_and_holds_one_model(base, path, error, monkeypatch):
    (base.parent / "secret").mkdir()
    affine(base.parent / "secret" / "model.onnx")
    (base / "link").symlink_to(base.parent / "secret")
    (base / "empty").mkdir()
    (base / "broken").mkdir()
    (base / "broken" / "model.onnx").write_bytes(b"\x08\x08garbage")
    for name in ("a", "b"):
        (base / "two" / name / "1").mkdir(parents=True)
        affine(base / "two" / name / "1" / "m.onnx")
    monkeypatch.chdir(base)

    async def main(loading, table):
        with pytest.raises(error):
            await loading.load("x", path.format(base=base))
        assert table.names() == [] and loading.present() == []

    run(base, main)


@pytest.mark.parametrize("name", ["", "../x", "a/b", "x" * 200, "-x"])
def test_a_name_is_one_that_a_model_may_have(base, name):
    async def main(loading, table):
        with pytest.raises(InvalidInput, match="legal model name"):
            await loading.load(name, str(base / "iris" / "model"))

    run(base, main)


def test_a_model_larger_than_what_is_left_is_not_begun(base):
    size = os.path.getsize(base / "iris" / "model" / "model.onnx")

    async def main(loading, table):
        with pytest.raises(NoMemory, match=str(size)):
            await loading.load("iris", str(base / "iris" / "model"))
        assert table.names() == []

    run(base, main, available=lambda: size - 1)


def test_a_model_that_fails_leaves_nothing_behind(base):
    code = base / "bad" / "model" / "code"
    code.mkdir(parents=True)
    (code / "inference.py").write_text(
        "def model_fn(model_dir):\n    raise ValueError('no weights')\n"
    )

    async def main(loading, table):
        with pytest.raises(InvalidInput, match="no weights"):
            await loading.load("bad", str(base / "bad" / "model"))
        assert table.names() == [] and loading.present() == []

    run(base, main)


def test_only_some_are_loaded_at_a_time(base):
    async def main(loading, table):
        loading._busy.update(f"m{i}" for i in range(AT_ONCE))
        with pytest.raises(AlreadyLoaded):
            await loading.load("m1", str(base / "iris" / "model"))
        with pytest.raises(Overloaded):
            await loading.load("iris", str(base / "iris" / "model"))

    run(base, main)


def test_two_loads_of_one_name_are_one(base):
    path = str(base / "iris" / "model")

    async def main(loading, table):
        found = await asyncio.gather(
            *(loading.load("iris", path) for _ in range(3)), return_exceptions=True
        )
        assert sorted(type(f).__name__ for f in found) == [
            "AlreadyLoaded", "AlreadyLoaded", "NoneType",
        ]  # fmt: skip

    run(base, main)
