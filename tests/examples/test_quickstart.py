"""The quickstart's models: built once, rebuilt when stale, and right on their own samples."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from examples.quickstart import build
from examples.quickstart.build import RECIPES, Recipe

KEYWORDS = [recipe for recipe in RECIPES if recipe.model == "keywords"]
TABULAR = [recipe for recipe in RECIPES if recipe.module == "tabular"]


def test_what_is_there_is_not_built_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build.build(tmp_path, KEYWORDS)
    before = (tmp_path / "keywords" / "model.yaml").stat().st_ino
    capsys.readouterr()

    build.build(tmp_path, KEYWORDS)

    assert (tmp_path / "keywords" / "model.yaml").stat().st_ino == before
    assert "up to date" in capsys.readouterr().out


@pytest.mark.parametrize("stale", ["removed", "digest"])
def test_what_is_missing_or_stale_is_built_again(tmp_path: Path, stale: str) -> None:
    build.build(tmp_path, KEYWORDS)
    artifact = tmp_path / "keywords" / "1" / "keywords.py"
    artifact.write_text("old")
    if stale == "removed":
        artifact.unlink()
        (tmp_path / "keywords" / "model.yaml").rename(tmp_path / "gone")
        (tmp_path / "keywords" / "1" / "samples.json").unlink()
        (tmp_path / "keywords" / "1").rmdir()
        (tmp_path / "keywords").rmdir()
    else:
        (tmp_path / build.STAMPS).write_text(json.dumps({"keywords": "another"}))

    build.build(tmp_path, KEYWORDS)

    assert "class Keywords" in artifact.read_text()


def test_a_missing_library_skips_its_model_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = Recipe("x", "tabular", ("no-such-library",))

    assert build.build(tmp_path, [recipe, *KEYWORDS]) == 1
    assert "x          skipped: no-such-library is not installed" in capsys.readouterr().out
    assert (tmp_path / "keywords").is_dir()


def test_an_unknown_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        build.main(["--out", str(tmp_path), "--only", "irsi"])


def test_tabular_models_answer_their_data(tmp_path: Path) -> None:
    pytest.importorskip("skl2onnx")
    pytest.importorskip("PIL")
    build.build(tmp_path, TABULAR)
    from sklearn.datasets import load_digits, load_iris

    for name, data in (("iris", load_iris()), ("digits", load_digits())):
        session = onnxruntime.InferenceSession(tmp_path / name / "1" / f"{name}.onnx")
        out = session.run(None, {session.get_inputs()[0].name: data.data.astype(np.float32)})
        assert len(out) == 1, "the label output is dropped"
        assert (out[0].argmax(axis=1) == data.target).mean() > 0.93
    assert len(list((tmp_path / "digits" / "samples").glob("digit-?.png"))) == 10


def test_keywords_finds_phrases() -> None:
    sys.path.insert(0, str(build.HERE / "files"))
    try:
        import keywords
    finally:
        sys.path.pop(0)

    answer = keywords.Keywords().predict(
        ["The gradient descent of a network, and the learning rate.", ""]
    )

    assert answer["keywords"][0] == ["gradient descent", "learning rate", "network", "", ""]
    assert answer["keywords"][1] == [""] * 5
    assert answer["scores"].shape == (2, 5)
