"""docs/tracing.md: its first look is what happens, its tables are complete."""

import contextlib
import http.client
import re
import shlex
from pathlib import Path

import pytest
from tests.system import models
from tests.system.serving import serving, until

from inferd.config.settings import REFERENCE

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "tracing.md").read_text()
SOURCES = (
    "server/tracing.py", "telemetry/spans.py", "telemetry/spanfile.py", "routing/remote/servable.py",
)  # fmt: skip
NAMES = r'"((?:inferd|http|url|rpc|client|server|network|error)\.[a-z_.]+)"'


def lines(text):
    """Return trace, name, parent and our attributes of each line, but of the stage that may be empty."""
    found = re.findall(r"SPAN (\w{32}) (\S{16}) (\w{16}) [\d.]+ms (\S.*)", text)
    ids = {span: index for index, (_, _, span, _) in enumerate(found)}
    return [
        (trace, ids.get(parent, parent), re.sub(r" http\..*", "", rest))
        for trace, parent, _, rest in found
        if not rest.startswith("batch ")
    ]


def test_the_first_look_is_what_happens(tmp_path):
    command, body, header, shown = re.search(
        r"```sh\n(inferd serve .*?)\ncurl \S+ -d '(.*?)' \\\n  -H '(.*?)'\n```\n\n```text\n(.*?)```",
        PAGE, re.DOTALL,
    ).groups()  # fmt: skip
    models.affine(tmp_path / "affine.onnx")
    _, _, path, *flags = shlex.split(command)
    with serving(tmp_path / "server", tmp_path / path, *flags) as server:
        name, value = header.split(": ")
        with contextlib.closing(http.client.HTTPConnection(*server.data)) as connection:
            form = {"Content-Type": "application/x-www-form-urlencoded", name: value}
            connection.request("POST", "/predict", body, form)  # as curl sends it
            assert connection.getresponse().read() == b'{"result":[3.0,5.0,7.0,9.0]}'
        until(lambda: " run inferd" in server.log, 10)
        log = server.log

    assert lines(log) == lines(shown)


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_every_attribute_is_in_the_table(source):
    text = (ROOT / "src" / "inferd" / source).read_text()
    names = set(re.findall(NAMES, text)) - {"inferd.telemetry"}

    assert names
    assert {name for name in names if f"`{name}`" not in PAGE} == set()


def test_every_setting_is_mentioned_or_in_the_table_of_all():
    flags = {row.flag for row in REFERENCE if row.key.startswith("tracing.")}

    assert {flag for flag in flags if flag not in PAGE} <= {"--trace-service-name"}
