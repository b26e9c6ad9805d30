import stat

import pytest

from inferd.core.errors import ConfigError, InferdError
from inferd.deploy.engine import ENGINES, build, build_arguments, build_command, find_engine


@pytest.fixture
def engines(tmp_path, monkeypatch):
    """Put commands of given names, and nothing else, on the search path."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def put(*names, code=0):
        for name in names:
            (folder / name).write_text(
                f'#!/bin/sh\necho "$0" "$@" >> {tmp_path}/said\nexit {code}\n'
            )
            (folder / name).chmod(0o755 | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(folder))
        return tmp_path / "said"

    return put


@pytest.mark.parametrize("names", [ENGINES, ENGINES[1:], ENGINES[2:]], ids=lambda n: n[0])
def test_the_first_engine_there_is_builds(engines, names):
    engines(*names)

    assert find_engine() == names[0]


def test_the_engine_asked_for_builds(engines):
    engines(*ENGINES)

    assert find_engine("buildah") == "buildah"


@pytest.mark.parametrize(
    ("wanted", "said"), [(None, "none of docker"), ("podman", "podman is not")]
)
def test_without_an_engine_it_says_what_to_do(engines, wanted, said):
    engines()

    with pytest.raises(ConfigError, match=f"{said}(.|\n)*--no-build"):
        find_engine(wanted)


def test_arguments_are_those_of_the_dockerfile():
    assert build_arguments(("BASE=x", "PIP_INDEX_URL=https://a:b@c/?d=e")) == {
        "BASE": "x", "PIP_INDEX_URL": "https://a:b@c/?d=e",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["BASE", "PATH=/x", "=", "base=x"])
def test_another_argument_is_refused(text):
    with pytest.raises(ConfigError, match="--build-arg"):
        build_arguments((text,))


@pytest.mark.parametrize("engine", ENGINES)
def test_the_command_is_a_list(engine, tmp_path):
    command = build_command(engine, tmp_path, "shop:1", {"BASE": "a b; c"})

    assert command[:2] == [engine, "build"]
    assert command[-1] == str(tmp_path)
    assert command[-3:-1] == ["--build-arg", "BASE=a b; c"]
    # Images in OCI's own format have no health check.
    assert ("--format" in command) == (engine != "docker")


def test_a_build_that_fails_is_an_error(engines, tmp_path):
    said = engines("docker", code=3)

    with pytest.raises(InferdError, match="exit code 3"):
        build(build_command("docker", tmp_path, "shop:1", {}))
    assert "build --tag shop:1" in said.read_text()


def test_a_build_that_works_is_none(engines, tmp_path):
    engines("docker")

    build(build_command("docker", tmp_path, "shop:1", {}))


def test_an_engine_that_cannot_be_started_is_an_error(tmp_path):
    with pytest.raises(InferdError, match="cannot be started"):
        build([str(tmp_path / "nothing"), "build", "x"])
