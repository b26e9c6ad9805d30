"""The public surface: what ``inferd`` exports, and that the version is said once."""

import tomllib

from tests.architecture.house import ROOT

import inferd


def test_the_public_names_are_these_and_sorted():
    assert inferd.__all__ == ["AsyncClient", "Client", "Model", "__version__", "asgi", "load"]
    assert dir(inferd) == inferd.__all__


def test_every_public_name_is_there():
    for name in inferd.__all__:
        assert getattr(inferd, name) is not None


def test_a_wrong_name_is_an_attribute_error():
    assert not hasattr(inferd, "modle")


def test_the_version_is_that_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["version"] == inferd.__version__


def test_all_means_every_extra():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]

    assert extras["all"] == [f"inferd[{','.join(sorted(set(extras) - {'all'}))}]"]


def test_torch_stays_out_of_the_lock_and_is_pinned_apart():
    lock = (ROOT / "requirements.lock").read_text()

    assert not [
        line for line in lock.splitlines() if line.startswith(("torch==", "nvidia", "triton=="))
    ]
    assert (ROOT / "constraints" / "torch.txt").read_text() == "torch==2.13.0\n"


def test_what_the_package_needs_is_in_the_lock():
    lock = {
        line.partition("==")[0] for line in (ROOT / "requirements.lock").read_text().splitlines()
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(d for e in extras for d in extras[e] if e != "torch")]
    names = {d.partition(">")[0].partition(";")[0].strip() for d in wanted if "[" not in d}

    assert names <= lock
