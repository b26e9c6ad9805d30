"""docs/generation.md: its examples run against a small generator, and its tables hold all there is."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.generators import CONTEXT, generator
from tests.system.serving import serving

import inferd
from inferd.runtimes.genai.parameters import _ALIASES, _LAID_DOWN, _NUMBERS, read_limits
from inferd.runtimes.genai.runtime import SIGNATURE

DOC = (Path(__file__).parents[2] / "docs" / "generation.md").read_text()
CHAT, GENERATE = re.findall(r"```python\n(.*?)```", DOC, re.DOTALL)
CURLS = re.findall(r"```\n(curl.*?)```", DOC, re.DOTALL)
(LAID_DOWN,) = re.findall(r"```yaml\n(.*?)```", DOC, re.DOTALL)
SAID = "bcdfgh"


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """A server of a model ``chat`` that goes on with the alphabet, after ``:`` from its beginning."""
    folder = tmp_path_factory.mktemp("page")
    generator(folder / "models" / "chat" / "1", b"e:bcdfgh", thoughtful=False)
    with serving(folder / "server", folder / "models") as server:
        yield f"http://{server.data[0]}:{server.data[1]}"


def asked(command, url):
    done = subprocess.run(
        shlex.split(command.replace("\\\n", " ").replace("localhost:8000", url)),
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    return [
        json.loads(line.removeprefix("data: ")) for line in done.stdout.splitlines() if "{" in line
    ]


def test_openai_s_client_is_answered(url):
    names = {}
    exec(CHAT.replace("http://127.0.0.1:8000", url), names)
    names["client"].close()

    assert names["answer"] == SAID


def test_our_client_is_answered(url):
    names = {}
    exec(GENERATE.replace("http://127.0.0.1:8000", url), names)

    assert "".join(names["pieces"]) == ":" + SAID and len(names["pieces"]) > 5


def test_predict_answers_in_pieces(url):
    pieces = [each["result"] for each in asked(CURLS[0], url)]

    assert "".join(piece["text"] for piece in pieces) == SAID
    assert pieces[-1] == {
        "text": "", "finish_reason": "stop", "prompt_tokens": 30, "completion_tokens": len(SAID),
    }  # fmt: skip


def test_generate_stream_answers_in_pieces(url):
    assert "".join(each["text"] for each in asked(CURLS[1], url)) == ":" + SAID


def test_predict_answers_whole(url):
    body = json.dumps({"data": {"prompt": "a:"}, "parameters": {"stop": "fg"}})
    (found,) = asked(f"curl -s localhost:8000/predict -d {shlex.quote(body)}", url)

    assert found["result"]["text"] == "bcd" and found["result"]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"data": {"prompt": "a", "messages": "[]"}}, "both given"),
        ({"data": {"messages": "{"}}, "not valid JSON"),
        ({"data": {"prompt": "a"}, "parameters": {"temprature": 1}}, "did you mean temperature"),
        ({"data": {"prompt": "x" * CONTEXT}}, f"{CONTEXT} tokens, and the model reads at most {CONTEXT - 1}"),
    ],
    ids=["both", "json", "parameter", "long"],
)  # fmt: skip
@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_what_is_wrong_is_a_400_that_says_so(url, body, told, accept):
    command = f"curl -s -w '%{{http_code}}' -H 'Accept: {accept}' localhost:8000/predict -d "
    done = subprocess.run(
        [*shlex.split(command.replace("localhost:8000", url)), json.dumps(body)],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip

    assert done.stdout.endswith("400")
    assert told in done.stdout.replace("\\'", "").replace("'", "").replace('\\"', "")


def test_a_directory_is_a_model_in_this_process_too(tmp_path):
    folder = generator(tmp_path / "chat", b"e:bcdfgh", thoughtful=False)
    with inferd.load(folder) as model:
        pieces = list(model.stream({"prompt": "a:"}))

    assert "".join(str(piece["text"]) for piece in pieces) == SAID


def test_the_table_of_outputs_is_the_signature():
    rows = re.findall(r"^\| `(\w+)` \|", DOC.partition("## Parameters")[0], re.M)
    assert rows == [spec.name for spec in SIGNATURE.outputs]


def test_the_table_of_parameters_has_each():
    table = DOC.partition("## Parameters")[2].partition("\n## ")[0]
    named = {
        name
        for row in re.findall(r"^\| (`.*?) \|", table, re.M)
        for name in re.findall(r"`(\w+)`", row)
    }
    assert named == {*_NUMBERS, *_ALIASES, "stop"}


def test_what_model_yaml_may_say_is_read_and_each_is_named():
    found = yaml.safe_load(LAID_DOWN)
    limits = read_limits(found, {}, 8192, "m")

    assert (limits.context, limits.prompt, limits.tokens) == (4096, 3000, 1024)
    assert limits.sampling.temperature == 0.2
    section = DOC.partition("## What model.yaml")[2].partition("\n## ")[0]
    assert all(name in section for name in _LAID_DOWN if name != "sequences")
