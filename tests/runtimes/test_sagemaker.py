import textwrap

import pytest

from inferd.core import script
from inferd.core.errors import InvalidInput, ModelFailed, ModelFileError, UnsupportedMedia
from inferd.runtimes.registry import create
from inferd.runtimes.sagemaker import HOOKS

ALL = """
import json
from pathlib import Path

def model_fn(model_dir):
    return int(Path(model_dir, "by.txt").read_text())

def input_fn(body, content_type):
    return content_type, body

def predict_fn(data, model):
    return [*data, model]

def output_fn(prediction, accept):
    media, body, by = prediction
    return json.dumps([media, body.hex(), by, accept]), "application/x-told"
"""

DEFAULTS = """
class Model:
    def predict(self, data):
        return data * 2

def model_fn(model_dir):
    return Model()
"""

CALLED = """
def model_fn(model_dir, context):
    assert context is None
    return lambda data: data.sum(axis=1)
"""

TRANSFORM = """
def model_fn(model_dir, context=None):
    return "m"

def transform_fn(model, body, content_type, accept):
    return body + model.encode(), accept
"""


@pytest.fixture
def load(tmp_path):
    """Load a script with the directory of a model around it."""

    def loaded(text, **options):
        (tmp_path / "code").mkdir(exist_ok=True)
        (tmp_path / "by.txt").write_text("3")
        path = tmp_path / "code" / "inference.py"
        path.write_text(textwrap.dedent(text))
        runtime = create("sagemaker")
        signature = runtime.load(path, {"directory": str(tmp_path), "threads": 1, **options})
        assert signature == script.SIGNATURE
        return runtime

    return loaded


def ask(runtime, body, content_type="application/json", accept="application/json"):
    return script.answer(runtime.run(script.request(body, content_type, accept)))


def test_all_hooks(load):
    body, media = ask(load(ALL), b"\xff\x00", "a/b; c=d", "e/f")

    assert body == b'["a/b; c=d", "ff00", 3, "e/f"]'
    assert media == "application/x-told"


@pytest.mark.parametrize(
    ("content_type", "accept", "body", "answer"),
    [
        ("application/json", "application/json", b"[[1, 2]]", b"[[2, 4]]"),
        ("text/csv", "text/csv", b"1,2\n3,4\n", b"2.0,4.0\n6.0,8.0\n"),
        ("text/csv", "application/json", b"1,2\n", b"[[2.0, 4.0]]"),
    ],
)
def test_what_a_script_leaves_out(load, content_type, accept, body, answer):
    assert ask(load(DEFAULTS), body, content_type, accept) == (answer, accept)


def test_a_model_that_is_called_and_a_context(load):
    assert ask(load(CALLED), b"[[1, 2]]")[0] == b"[3]"


def test_one_hook_for_all(load):
    assert ask(load(TRANSFORM), b"x", "a/b", "c/d") == (b"xm", "c/d")


def test_modules_beside_the_script_are_found(load, tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "helper_of_scripts.py").write_text("BY = 7\n")
    runtime = load(
        """
        from helper_of_scripts import BY

        def model_fn(model_dir):
            return lambda data: data * BY
        """
    )

    assert ask(runtime, b"[1]")[0] == b"[7]"


def test_rows_are_answered_one_by_one(load):
    runtime = load(DEFAULTS)
    asked = [script.request(b"[%d]" % i, "application/json", "application/json") for i in (1, 2)]
    import numpy as np

    outputs = runtime.run({k: np.concatenate([a[k] for a in asked]) for k in asked[0]})

    assert outputs["body"].tolist() == [b"[2]", b"[4]"]


def test_bad_bodies_are_the_clients_fault(load):
    runtime = load(DEFAULTS)

    with pytest.raises(InvalidInput):
        ask(runtime, b"{")
    with pytest.raises(UnsupportedMedia):
        ask(runtime, b"", "image/png")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("def model_fn(d): return lambda x: x\ndef output_fn(p, a): return 5", ModelFailed),
        (
            "def model_fn(d): return lambda x: x\ndef output_fn(p, a): raise SystemExit(3)",
            ModelFailed,
        ),
        ("def model_fn(d): return lambda x: x\ndef input_fn(b, c): raise KeyError('k')", KeyError),
    ],
    ids=["no body", "exit", "raises"],
)
def test_what_the_script_does_wrong(load, text, error):
    with pytest.raises(error):
        ask(load(text), b"[1]")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "defines no model_fn"),
        ("def modl_fn(d): pass", "model_fn"),
        ("def model_fn(d): return 3", "cannot predict"),
        ("def model_fn(d): raise ValueError('no weights')", "ValueError: no weights"),
        ("def model_fn(d): raise SystemExit(2)", "SystemExit: 2"),
        ("async def model_fn(d): pass", "must not be async"),
        ("def model_fn(): pass", "takes 0 arguments"),
        ("def model_fn(d): pass\ndef predict_fn(a, b, c, d): pass", "takes 4 arguments"),
        (f"{TRANSFORM}\ndef predict_fn(d, m): pass", "stands for all"),
        ("import nowhere_at_all\ndef model_fn(d): pass", "nowhere_at_all"),
        ("def model_fn(:", "SyntaxError"),
    ],
)
def test_a_script_that_is_none_says_why(load, text, says):
    with pytest.raises(ModelFileError) as caught:
        load(text)

    assert "inference.py" in caught.value.message
    assert says in f"{caught.value.message} {caught.value.help}"


def test_a_declared_signature_is_refused(load):
    with pytest.raises(ModelFileError, match="whole bodies"):
        load(DEFAULTS, signature={"inputs": []})


@pytest.mark.parametrize("content", [None, b"", b"\x08\x08garbage"])
def test_what_cannot_be_loaded_is_named(tmp_path, content):
    path = tmp_path / "broken.py"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ModelFileError, match="broken"):
        create("sagemaker").load(path, {"directory": str(tmp_path), "threads": 1})


def test_it_says_what_it_is(load):
    runtime = load(DEFAULTS)

    assert runtime.name == "sagemaker" and runtime.version().startswith("python 3")
    assert not runtime.releases_gil and not runtime.streams
    runtime.close()
    runtime.close()
    assert set(HOOKS) == {"model_fn", "input_fn", "predict_fn", "output_fn", "transform_fn"}
