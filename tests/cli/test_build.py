import shlex

import pytest
from tests.cli.conftest import write_model

from inferd.cli.main import main


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty directory beside a repository of one model, and a file that stands for the wheel."""
    (tmp_path / "shop" / "sums" / "1").mkdir(parents=True)
    write_model(tmp_path / "shop" / "sums" / "1" / "sums.onnx")
    (tmp_path / "inferd-0.1.0-py3-none-any.whl").write_bytes(b"wheel")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def engine(here, monkeypatch):
    """A command named docker that writes down how it is called."""
    folder = here / "bin"
    folder.mkdir()
    (folder / "docker").write_text(f'#!/bin/sh\necho "$@" > {here}/said\n')
    (folder / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return here / "said"


WHEEL = ("--wheel", "inferd-0.1.0-py3-none-any.whl")


def test_it_writes_a_context_and_says_how_to_build_it(here, capsys):
    assert main(["build", "shop", "--no-build", *WHEEL]) == 0

    text = capsys.readouterr().out

    assert "models    sums" in text
    assert "docker build --tag shop:latest container" in text
    assert (here / "container" / "Dockerfile").is_file()
    assert (here / "container" / "models" / "sums" / "1" / "sums.onnx").is_file()
    assert (here / "container" / WHEEL[1]).read_bytes() == b"wheel"


def test_the_lines_that_are_printed_are_quoted_for_a_shell(here, capsys):
    assert main(["build", "shop", "--no-build", "--mount", "--output", "a `b` $c", *WHEEL]) == 0

    build, run = (line for line in capsys.readouterr().out.splitlines() if "docker " in line)
    assert shlex.split(build)[-1] == "a `b` $c"
    assert "'a `b` $c'" in build
    assert f"-v {here}/shop:/models/shop:ro" in run


def test_it_builds_with_the_engine_there_is(engine, capsys):
    assert main(["build", "shop", "--tag", "shop:1", "--build-arg", "BASE=mine", *WHEEL]) == 0

    assert engine.read_text() == "build --tag shop:1 --build-arg BASE=mine container\n"
    text = capsys.readouterr().out
    assert "docker run --rm --read-only --tmpfs /tmp --cap-drop ALL" in text
    assert text.rstrip().endswith("-p 127.0.0.1:8000:8000 -p 127.0.0.1:8001:8001 shop:1")


def test_what_is_given_for_the_build_is_not_written_down(engine, here):
    secret = "https://me:secret@pypi.example.org/simple"

    assert main(["build", "shop", "--build-arg", f"PIP_INDEX_URL={secret}", *WHEEL]) == 0

    assert "secret" in engine.read_text()
    assert "secret" not in (here / "container" / "Dockerfile").read_text()


def test_mounted_models_are_named_when_it_is_run(engine, here, capsys):
    assert main(["build", "shop", "--mount", *WHEEL]) == 0

    assert f"-v {here}/shop:/models/shop:ro" in capsys.readouterr().out
    assert 'CMD ["/models/shop"]' in (here / "container" / "Dockerfile").read_text()
    assert not (here / "container" / "models").exists()


def test_the_options_reach_the_dockerfile(here):
    options = (
        "--base", "mine:1", "--index-url", "https://a.example.org", "--extra-index-url",
        "https://b.example.org", "--extra", "tracing",
    )  # fmt: skip

    assert main(["build", "shop", "--no-build", *WHEEL, *options]) == 0

    text = (here / "container" / "Dockerfile").read_text()
    assert 'ARG BASE="mine:1"' in text
    assert 'ARG PIP_INDEX_URL="https://a.example.org"' in text
    assert 'ARG PIP_EXTRA_INDEX_URL="https://b.example.org"' in text
    assert "opentelemetry-sdk==" in (here / "container" / "requirements.txt").read_text()


def test_what_code_imports_goes_in_and_what_is_not_here_is_remarked(here, capsys):
    code = "from inferd import Model\nclass Sum(Model):\n    def predict(self, x): return x\n"
    (here / "sum.py").write_text(f"import joblib_like\nimport jsonschema\n{code}")

    assert main(["build", "sum.py:Sum", "--no-build", *WHEEL]) == 0
    text = capsys.readouterr().out
    assert "jsonschema" in text
    assert "code imports joblib_like, which is not installed here" in text
    assert "jsonschema==" in (here / "container" / "requirements.txt").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: no such file"),
        (["shop", "--tag", "A B"], "--tag: 'A B' is not a name for an image"),
        (["shop", "--base", "a\nRUN x"], "--base"),
        (["shop", "--index-url", "https://me:x@y.org"], "holds a password"),
        (["shop", "--build-arg", "PATH=x"], "--build-arg PATH"),
        (["shop", "--extra", "tracking"], "did you mean 'tracing'?"),
        (["shop", "--output", "shop/out"], "lies inside shop"),
        (["shop", "--engine", "buildah"], "buildah is not installed"),
        (["shop/sums/1/sums.onnx", "--mount"], "is no directory"),
        (["shop", "--trust-pickle", "x"], "--trust-pickle x"),
    ],
    ids=["path", "tag", "base", "index", "argument", "extra", "output", "engine", "mount", "trust"],
)
def test_a_wrong_call_is_exit_code_2_and_writes_nothing(engine, here, capsys, arguments, message):
    assert main(["build", *arguments, *WHEEL]) == 2
    assert message in capsys.readouterr().err
    assert not (here / "container").exists()
    assert not engine.exists()


def test_a_wheel_of_another_name_is_refused(here, capsys):
    (here / "x;y.whl").write_bytes(b"")

    assert main(["build", "shop", "--no-build", "--wheel", "x;y.whl"]) == 2
    assert "is not the name of a wheel" in capsys.readouterr().err
