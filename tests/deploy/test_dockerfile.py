import json
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from tests.deploy.dockerfiles import environment, final_stage, instructions, listed, one
from tests.deploy.test_quoting import NASTY

from inferd.config.load import load_settings
from inferd.config.units import duration
from inferd.core.errors import ConfigError
from inferd.deploy import dockerfile
from inferd.deploy.dockerfile import BUILD_ARGS, GRACE, HEALTH, Recipe
from inferd.deploy.files import Copy
from inferd.deploy.plan import Part

PART = Part("shop", ("iris", "sums"), (), ("/models",), ("grpc",))
RECIPE = Recipe(wheel="inferd-VERSION-py3-none-any.whl", hashed=True)
NEEDS = Copy(PurePosixPath("app/requirements.txt"), Path("/x/requirements.txt"))
EVERYTHING = (
    replace(PART, extras=("torch",), requirements=(NEEDS,), trusted=("iris",)),
    replace(RECIPE, torch="2.13.0", hashed=False, wheels=True, certificates=True, baked=False,
            base="registry.example.org/python@sha256:0123", index="https://pypi.example.org/simple"),
)  # fmt: skip


def test_the_usual_dockerfile(snapshot):
    snapshot("Dockerfile", dockerfile.dockerfile(PART, RECIPE))
    snapshot("dockerignore", dockerfile.dockerignore(PART, RECIPE))


def test_a_dockerfile_with_everything(snapshot):
    snapshot("Dockerfile.everything", dockerfile.dockerfile(*EVERYTHING))
    snapshot("dockerignore.everything", dockerfile.dockerignore(*EVERYTHING))


@pytest.fixture(params=[(PART, RECIPE), EVERYTHING], ids=["usual", "everything"])
def text(request):
    return dockerfile.dockerfile(*request.param)


def test_it_is_a_dockerfile_of_two_stages(text):
    stages = [rest for word, rest in instructions(text) if word == "FROM"]

    assert stages == ["${BASE} AS builder", "${BASE}"]
    assert text.isascii()


def test_what_the_builder_is_told_stays_in_it(text):
    said = " ".join(f"{word} {rest}" for word, rest in final_stage(text))

    for secret in ("PIP_INDEX", "ca.pem", "PIP_CERT", "wheels", "requirements", "TORCH"):
        assert secret not in said
    assert not any(word in ("RUN", "ARG") for word, _ in final_stage(text))


def test_images_of_the_same_packages_begin_alike():
    """The packages are copied once for all of them: a builder repeats every step after the first that differs."""
    other = replace(PART, name="other", models=("sums",), paths=("/models/sums",))
    one, two = (final_stage(dockerfile.dockerfile(part, RECIPE)) for part in (PART, other))
    models = next(
        i for i, (word, rest) in enumerate(one) if (word, rest[-9:]) == ("COPY", " /models/")
    )

    assert one[: models + 1] == two[: models + 1]
    assert one[models + 1 :] != two[models + 1 :]
    assert [word for word, _ in one[models:]] == ["COPY", "LABEL", "CMD"]


def test_it_runs_as_nobody_and_starts_without_a_shell(text):
    assert one(text, "USER") == "10001:10001"
    assert listed(text, "ENTRYPOINT") == ["inferd", "serve"]
    assert listed(text, "CMD")[0] == "/models"
    assert one(text, "STOPSIGNAL") == "SIGTERM"


def test_the_health_check_is_a_command_without_a_shell(text):
    times, _, command = one(text, "HEALTHCHECK").partition(" CMD ")
    said = dict(word.removeprefix("--").split("=") for word in times.split())

    assert json.loads(command) == list(HEALTH)
    # Unhealthy within ten seconds of what cannot answer: once between two checks, then it waits.
    assert said["retries"] == "1"
    assert duration(said["interval"]) + duration(said["timeout"]) < 10
    assert duration(HEALTH[-1]) < duration(said["timeout"])


def test_the_variables_are_settings_and_fit_the_orchestrator(text):
    given = {k: v for k, v in environment(text).items() if k.startswith("INFERD_")}
    server = load_settings(environ=given).server

    assert (server.host, server.port) == ("0.0.0.0", 8000)
    assert (server.metrics_host, server.metrics_port) == ("0.0.0.0", 8003)
    assert server.admin_host == "127.0.0.1"
    assert 0 < server.drain_delay < server.stop_timeout < GRACE


def test_the_control_plane_is_not_exposed(text):
    assert "8002" not in text


def test_without_grpc_its_port_is_off():
    text = dockerfile.dockerfile(replace(PART, extras=()), RECIPE)

    assert environment(text)["INFERD_GRPC_PORT"] == "off"
    assert one(text, "EXPOSE") == "8000 8003"


def test_models_that_are_mounted_are_not_copied():
    text = dockerfile.dockerfile(PART, replace(RECIPE, baked=False))

    assert [rest for word, rest in final_stage(text) if word == "COPY"] == [
        "--from=builder /opt/inferd /opt/inferd"
    ]


def test_its_arguments_are_those_a_build_may_be_given():
    text = dockerfile.dockerfile(*EVERYTHING)
    names = {rest.partition("=")[0] for word, rest in instructions(text) if word == "ARG"}

    assert names == set(BUILD_ARGS)


@pytest.mark.parametrize("nasty", NASTY, ids=[f"{i}" for i in range(len(NASTY))])
@pytest.mark.parametrize("where", ["name", "base", "index", "path"])
def test_no_word_of_a_user_becomes_an_instruction(where, nasty):
    part, recipe = PART, RECIPE
    if where == "name":
        part = replace(PART, name=nasty)
    elif where == "path":
        part = replace(PART, paths=(f"/models/{nasty}",))
    else:
        recipe = replace(RECIPE, **{where: nasty})
    usual = [word for word, _ in instructions(dockerfile.dockerfile(PART, RECIPE))]
    try:
        text = dockerfile.dockerfile(part, recipe)
    except ConfigError:
        assert any(ord(c) < 32 or c == "\u2028" for c in nasty)
        return

    assert [word for word, _ in instructions(text)] == usual
    if where == "path":
        assert listed(text, "CMD") == [f"/models/{nasty}"]


def test_an_installed_inferd_is_asked_of_the_index(snapshot):
    text = dockerfile.dockerfile(PART, replace(RECIPE, wheel=None))

    assert "--no-deps inferd==" in text
    assert ".whl" not in text + dockerfile.dockerignore(PART, replace(RECIPE, wheel=None))
