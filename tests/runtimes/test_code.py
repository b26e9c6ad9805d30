from __future__ import annotations

import sys

import pytest

from inferd.core.errors import ModelFileError
from inferd.runtimes.code import load_module, load_object


def test_the_versions_directory_goes_before_the_path(tmp_path):
    (tmp_path / "json.py").write_text("MINE = True\n")
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text("")
    (tmp_path / "pkg" / "inner.py").write_text("class A:\n    class B: pass\n")

    assert load_object("json:MINE", tmp_path) is True
    assert "MINE" not in vars(sys.modules["json"]), "Python's own module is left alone"
    assert load_object("pkg.inner:A.B", tmp_path).__name__ == "B"
    assert load_object("collections:OrderedDict", tmp_path).__name__ == "OrderedDict"


def test_a_module_of_a_package_that_lacks_it(tmp_path):
    with pytest.raises(ModelFileError, match="no module 'nowhere'"):
        load_module("nowhere.inner", tmp_path)


@pytest.mark.parametrize(
    ("files", "reference", "said", "help"),
    [
        ([], "a:b", "no module 'a' (from 'a:b')", "put a.py into "),
        (["neat"], "net:Net", "no module 'net' (from 'net:Net')", "did you mean 'neat'?"),
        (["far"], "pkg.mod:M", "no module 'pkg' (from 'pkg.mod:M')", "put pkg.py into "),
        (["a"], "a:b", "a.py: has no 'b' (from 'a:b')", "define b there"),
    ],
    ids=["nothing", "near", "far", "empty-module"],
)
def test_what_is_not_found_says_what_asked_for_it_and_what_to_do(
    tmp_path, files, reference, said, help
):
    for name in files:
        (tmp_path / f"{name}.py").write_text("")
    with pytest.raises(ModelFileError) as caught:
        load_object(reference, tmp_path)

    assert said in caught.value.message
    assert caught.value.help.startswith(help)


def test_errors_name_the_line_of_the_users_code(tmp_path, capfd):
    (tmp_path / "raising.py").write_text("\n\n1 / 0\n")
    with pytest.raises(ModelFileError, match=r"ZeroDivisionError: division by zero .*raising.py:3"):
        load_module("raising", tmp_path)
    assert "Traceback" in capfd.readouterr().err


def test_modules_of_another_version_are_forgotten_and_others_are_not(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shared_name.py").write_text(f"NAME = {name!r}\n")
    (tmp_path / "top_level.py").write_text("")

    load_module("top_level", tmp_path)
    known = set(sys.modules) - {"top_level"}
    assert load_module("shared_name", tmp_path / "one").NAME == "one"
    assert load_module("shared_name", tmp_path / "two").NAME == "two"
    assert load_module("shared_name", tmp_path / "one").NAME == "one"
    assert known <= set(sys.modules)
