import zipfile

import pytest

import inferd
from inferd.core.errors import ConfigError, InferdError
from inferd.deploy import wheel


def test_the_checkout_is_where_this_package_is():
    root = wheel.checkout()

    assert (root / "src" / "inferd" / "__init__.py").samefile(inferd.__file__)
    assert "numpy==" in wheel.lock_text()


def test_the_wheel_holds_the_package_and_is_the_same_each_time(tmp_path):
    first = wheel.make_wheel(tmp_path / "a")
    second = wheel.make_wheel(tmp_path / "b")

    assert first.name == f"inferd-{inferd.__version__}-py3-none-any.whl"
    assert "inferd/cli/main.py" in zipfile.ZipFile(first).namelist()
    assert first.read_bytes() == second.read_bytes()


def test_an_installed_package_is_no_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(inferd, "__file__", str(tmp_path / "lib" / "inferd" / "__init__.py"))

    assert wheel.checkout() is None
    assert wheel.lock_text() == ""
    with pytest.raises(ConfigError, match="no wheel to make"):
        wheel.make_wheel(tmp_path)


def test_what_pip_says_is_shown(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "inferd"\n[build-system]\nrequires=[]\n'
    )
    monkeypatch.setattr(wheel, "checkout", lambda: tmp_path)

    with pytest.raises(InferdError, match="could not be made"):
        wheel.make_wheel(tmp_path / "out")
