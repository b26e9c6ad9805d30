"""What the image classifier's preparation decides; the whole is asked in tests/applications."""

from pathlib import Path

import pytest
import yaml
from examples.vision import prepare


def test_classes_of_one_name_are_told_apart() -> None:
    assert prepare.labels(["missile", "crane", "missile"]) == [
        "missile (1)",
        "crane",
        "missile (2)",
    ]


def test_pixels_go_in_as_the_network_was_trained() -> None:
    steps = yaml.safe_load((prepare.FILES / "model.yaml").read_text())["preprocess"]

    assert {"normalize": {"mean": 127, "std": 128}} in steps


def test_everything_the_page_asks_for_is_put_beside_it() -> None:
    files = {
        p.name for folder in (prepare.FILES / "page", prepare.KIT_PAGE) for p in folder.iterdir()
    }
    text = (prepare.FILES / "page" / "index.html").read_text()

    for name in ("page.css", "vision.css", "vision.js", "icon.svg"):
        assert f'"{name}"' in text
        assert name in files
    assert "<script>" not in text and "style=" not in text and "onclick" not in text
    assert all(f'src="{name}"' in text for name in prepare.EXPECTED)


def test_a_missing_library_is_named(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(prepare, "NEEDED", {"no_such_module": "no-such-package"})

    with pytest.raises(SystemExit, match="no-such-package"):
        prepare.build(tmp_path)
