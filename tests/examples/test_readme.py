"""The README's session is what happens, and its table leads to every page."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from examples.quickstart import build
from tests.system.serving import serving

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
PAGES = sorted(path.name for path in (ROOT / "docs").glob("*.md"))


def session() -> list[tuple[str, str]]:
    """Return the commands of the README's session, each with what it prints."""
    (text,) = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    parts = [part.partition("\n") for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]]
    return [(command, printed.strip()) for command, _, printed in parts]


def test_the_session_is_what_happens(tmp_path: Path) -> None:
    pytest.importorskip("skl2onnx")
    build.build(tmp_path / ".quickstart", [r for r in build.RECIPES if r.model == "iris"])
    (serve, banner), (curl, answer) = session()
    words = shlex.split(curl)
    path = words[2].removeprefix("http://127.0.0.1:8000")
    body = words[words.index("-d") + 1]

    assert serve.split()[:2] == ["inferd", "serve"]
    with serving(tmp_path / "server", *serve.split()[2:], cwd=tmp_path) as server:
        printed = server.banner.strip()
        for (_, port), shown in ((server.data, 8000), (server.admin, 8002)):
            printed = printed.replace(f":{port}", f":{shown}")
        printed = re.sub(r"(grpc +127.0.0.1):\d+", r"\1:8001", printed)
        assert unversioned(printed) == unversioned(banner)

        result = server.ask(path, body=body, headers={"Content-Type": "application/json"}).result
        expected = json.loads(answer)["result"]
        assert result["label"] == expected["label"]
        assert result["score"] == pytest.approx(expected["score"], abs=1e-3)


def unversioned(text: str) -> str:
    return re.sub(r"onnxruntime [\w.+]+", "onnxruntime", text)


@pytest.mark.parametrize("page", PAGES)
def test_the_table_leads_to_every_page(page: str) -> None:
    assert f"](docs/{page})" in README
