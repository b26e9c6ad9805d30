from importlib import metadata

import pytest

from inferd.core.errors import ConfigError, MissingExtra
from inferd.deploy import requirements
from inferd.deploy.requirements import (
    Needed,
    Pins,
    closure,
    constraints_text,
    named,
    parse,
    pins,
    requirements_text,
)


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("Click>=8.1", Needed("click")),
        ("uvloop>=0.21; sys_platform != 'win32'", Needed("uvloop")),
        (
            "tritonclient[grpc,HTTP]>=2 ; extra == 'Dev'",
            Needed("tritonclient", ("grpc", "http"), "dev"),
        ),
        ("a_b.c (>=1) ; python_version > '3' and extra == \"x\"", Needed("a-b-c", (), "x")),
        ("numpy  # why", Needed("numpy")),
        ("", None),
        ("-e .", None),
    ],
    ids=["plain", "marker", "extras", "old", "comment", "empty", "option"],
)
def test_a_requirement_is_read(text, needed):
    assert parse(text) == needed


def test_the_closure_is_what_is_installed_and_needed():
    found = closure([Needed("inferd")])

    assert found["numpy"] == metadata.version("numpy")
    assert "anyio" in found  # of httpx
    assert "grpcio" not in found
    assert "pytest" not in found
    assert list(found) == sorted(found)


def test_an_extra_brings_its_own():
    found = pins(["grpc", "text"]).versions

    assert {"grpcio", "grpcio-health-checking", "tokenizers", "huggingface-hub"} <= set(found)
    assert "inferd" not in found


def test_other_distributions_come_with_what_they_need():
    found = pins([], also=["jsonschema"]).versions

    assert {"jsonschema", "attrs"} <= set(found)


def test_torch_stands_apart_without_its_build():
    found = pins(["torch"])

    assert found.torch == metadata.version("torch").partition("+")[0]
    assert "torch" not in found.versions
    assert "sympy" in found.versions


def test_an_extra_that_is_not_installed_is_named(monkeypatch):
    real = requirements.installed
    monkeypatch.setattr(requirements, "installed", lambda n: None if n == "pillow" else real(n))

    with pytest.raises(MissingExtra, match=r"pillow(.|\n)*inferd\[image\]"):
        pins(["image"])


def test_hashes_are_there_for_all_or_for_none():
    versions = pins([]).versions
    digest = "sha256:" + "a" * 64
    lock = "".join(f"{n}=={v} \\\n    --hash={digest}\n" for n, v in versions.items())

    whole = pins([], lock)
    part = pins([], lock.replace(f"click=={versions['click']}", "click==0"))

    assert whole.hashes["click"] == (digest,)
    assert f"click=={versions['click']} \\\n    --hash={digest}\n" in requirements_text(whole)
    assert part.hashes == {}
    assert "--hash" not in requirements_text(part)


def test_the_lock_of_the_checkout_has_every_hash():
    from inferd.deploy.wheel import lock_text

    assert pins(["grpc", "image", "text", "tracing"], lock_text()).hashes


def test_requirements_of_models_are_read_without_options():
    text = "--extra-index-url https://x\nnumpy>=1 \\\n  --hash=sha256:0\n# no\n./local\n-r x\nScipy[y]\n"

    assert list(named(text)) == [Needed("numpy"), Needed("scipy", ("y",))]


def test_constraints_hold_what_runs_here():
    text = constraints_text(Pins({"numpy": "1.0"}, torch="2.1"), ["pyyaml\nabsent-package\n"])

    assert text.splitlines() == [
        "numpy==1.0",
        f"pyyaml=={metadata.version('pyyaml')}",
        "torch==2.1",
    ]


def test_a_version_that_is_none_is_refused(monkeypatch):
    class Odd:
        version = "1; reboot"
        requires = ()

    monkeypatch.setattr(requirements, "installed", lambda name: Odd())

    with pytest.raises(ConfigError, match="reboot"):
        closure([Needed("numpy")])
