from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from tests.cli.conftest import write_model

from inferd.control.curves import CurveStore
from inferd.control.loader import Loader, LoadSettings
from inferd.control.models import Models
from inferd.control.pages import page_of
from inferd.control.pipeline.loader import Pipelines
from inferd.control.sources import read_specs
from inferd.routing.table import RouteTable
from inferd.scheduling.admission import QueueLimits

PIPELINE = """
inputs: [x]
steps:
  add: {model: sums, inputs: {x: x}}
outputs: {y: add.y}
"""


def model(file: Path) -> None:
    file.parent.mkdir(parents=True)
    write_model(file)


def written(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_text(text)
    return folder


def models(tmp_path: Path) -> Models:
    loader = Loader(
        RouteTable(), LoadSettings(executor="inline", instances=1), CurveStore(tmp_path / "costs")
    )
    return Models(loader, Pipelines(loader, QueueLimits()))


def test_a_page_comes_with_its_model_changes_when_it_is_replaced_and_goes(tmp_path: Path) -> None:
    model(tmp_path / "sums" / "1" / "sums.onnx")
    folder = written(tmp_path / "sums" / "page", "old")

    async def main() -> None:
        served = models(tmp_path)
        (spec,) = read_specs([tmp_path / "sums"])
        await served.load(spec)
        assert served.table.find("sums").page["index.html"].body == b"old"

        (folder / "index.html").write_text("new")
        assert (
            served.table.find("sums").page["index.html"].body == b"old"
        )  # what was read is served
        await served.replace(spec, 1.0)
        assert served.table.find("sums").page["index.html"].body == b"new"

        await served.unload("sums", "1", 1.0)
        assert served.table.names() == []

    asyncio.run(main())


def test_a_pipeline_has_one_too_and_its_models_have_not(tmp_path: Path) -> None:
    app = tmp_path / "app"
    model(app / "sums" / "1" / "sums.onnx")
    (app / "pipeline.yaml").write_text(PIPELINE)
    folder = written(app / "page", "old")

    async def main() -> None:
        served = models(tmp_path)
        specs = read_specs([app])
        assert await served.load_all(specs) == []
        assert served.table.find("app").page["index.html"].body == b"old"
        assert served.table.find("sums").page == {}

        (folder / "index.html").write_text("new")
        await served.replace(next(spec for spec in specs if spec.name == "app"), 1.0)
        assert served.table.find("app").page["index.html"].body == b"new"
        await served.stop(1.0)

    asyncio.run(main())


def test_what_is_left_out_is_logged(tmp_path: Path, caplog) -> None:
    model(tmp_path / "sums" / "sums.onnx")
    written(tmp_path / "sums" / "page", "x")
    (tmp_path / "sums" / "page" / "secret.py").write_text("x")
    (spec,) = read_specs([tmp_path / "sums"])

    with caplog.at_level(logging.WARNING, "inferd.control"):
        page = asyncio.run(page_of(spec))

    assert list(page) == ["index.html"]
    assert "left out" in caplog.text
