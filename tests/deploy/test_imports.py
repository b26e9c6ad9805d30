from pathlib import PurePosixPath

import pytest

from inferd.deploy import imports
from inferd.deploy.files import Copy
from inferd.deploy.imports import Imported, imported


def found(tmp_path, **files):
    """Return what files of these texts import; a double underscore in a name is a slash."""
    copies = []
    for name, text in files.items():
        source = tmp_path / f"{name}.py"
        source.write_text(text)
        copies.append(Copy(PurePosixPath("m", f"{name.replace('__', '/')}.py"), source))
    return imported(copies)


def test_what_is_imported_is_named_as_it_is_installed(tmp_path):
    text = "import yaml.nodes, os\nfrom numpy import linalg\nfrom inferd import Model\n"

    assert found(tmp_path, a=text) == Imported(("numpy", "pyyaml"), ())


def test_imports_inside_functions_count(tmp_path):
    assert found(tmp_path, a="def f():\n    import click\n").distributions == ("click",)


def test_own_modules_and_packages_do_not(tmp_path):
    found_ = found(tmp_path, a="import b\nimport parts.c\nfrom . import d", b="", parts__c="")

    assert found_ == Imported()


def test_imports_for_types_alone_do_not(tmp_path):
    text = (
        "import typing\nif typing.TYPE_CHECKING:\n    import click\nelse:\n    import yaml\n"
        "if TYPE_CHECKING:\n    import numpy\n"
    )

    assert found(tmp_path, a=text).distributions == ("pyyaml",)


def test_what_is_not_installed_is_unknown(tmp_path):
    assert found(tmp_path, a="import no_such_thing.at_all\n") == Imported((), ("no_such_thing",))


@pytest.mark.parametrize(
    "text", ["import (", "\0", "x = '\udc80'"], ids=["syntax", "null", "bytes"]
)
def test_what_is_no_python_is_passed_over(tmp_path, text):
    (tmp_path / "a.py").write_bytes(text.encode(errors="surrogatepass"))

    assert imported([Copy(PurePosixPath("m/a.py"), tmp_path / "a.py")]) == Imported()


def test_a_file_too_large_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(imports, "MOST_BYTES", 5)

    assert found(tmp_path, a="import click\n") == Imported()


def test_other_files_are_not_read(tmp_path):
    (tmp_path / "a.txt").write_text("import click\n")

    assert imported([Copy(PurePosixPath("m/a.txt"), tmp_path / "a.txt")]) == Imported()


def test_nothing_is_run(tmp_path):
    found(tmp_path, a=f"open({str(tmp_path / 'ran')!r}, 'w')\nimport click\n")

    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("module", "names", "chosen"),
    [
        ("cv2", ("opencv-python", "opencv-python-headless"), "opencv-python-headless"),
        ("space.two", ("space-one", "space-two"), "space-two"),
    ],
    ids=["twins", "namespace"],
)
def test_of_several_with_one_name_the_right_one_is_chosen(
    tmp_path, monkeypatch, module, names, chosen
):
    class Fake:
        def __init__(self, name):
            place = "cv2" if name.startswith("opencv") else name.replace("-", "/")
            self.files = [f"{place}/__init__.py"]

    top = module.partition(".")[0]
    monkeypatch.setattr(imports.metadata, "packages_distributions", lambda: {top: list(names)})
    monkeypatch.setattr(imports.metadata, "distribution", Fake)

    assert found(tmp_path, a=f"import {module}\n").distributions == (chosen,)
