"""The examples of docs/client.md are run, in order, against a server of the models it shows."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest
from tests.system.serving import serving

PAGE = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
MODELS, ASYNC = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SESSION = "\n".join(re.findall(r"```pycon\n(.*?)```", PAGE, re.DOTALL))
ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    (folder / "shop.py").write_text(MODELS)
    (command,) = re.findall(r"`inferd serve (shop.*?)`", PAGE)
    with serving(folder / "server", *command.split(), "--instances", 1, cwd=folder) as server:
        yield f"http://{server.data[0]}:{server.data[1]}"


def test_the_session_is_what_happens(url: str) -> None:
    pytest.importorskip("pandas")
    flags = doctest.NORMALIZE_WHITESPACE
    names: dict[str, object] = {}
    found = doctest.DocTestParser().get_doctest(
        SESSION.replace(ADDRESS, url), names, "page", None, 0
    )
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=flags, verbose=False)
    runner.run(found, out=said.append, clear_globs=False)
    found.globs["client"].close()

    assert runner.tries > 20
    assert not runner.failures, "".join(said)


def test_the_async_example_runs(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    exec(ASYNC.replace(ADDRESS, url), names)

    assert names["prices"] == [float(n) for n in range(50)]
    assert "Chapter 2." in capsys.readouterr().out
