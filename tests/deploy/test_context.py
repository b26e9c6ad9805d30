import stat
from dataclasses import replace
from pathlib import Path

import pytest
from tests.deploy.dockerfiles import instructions, listed

from inferd.core.errors import ConfigError
from inferd.deploy.context import Given, claim, place, write, write_context
from inferd.deploy.dockerfile import Recipe
from inferd.deploy.plan import part
from inferd.repository.store import scan
from inferd.runtimes.detect import Detector


@pytest.fixture
def wheel(tmp_path):
    """A file that stands for inferd's wheel; how that is made is tested in test_wheel.py."""
    file = tmp_path / "inferd-0.1.0-py3-none-any.whl"
    file.write_bytes(b"wheel")
    return file


def packed(path):
    return part(Path(path).name, scan([path], Detector()), grpc=False)


def tree(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_all_that_the_dockerfile_copies_is_there_and_nothing_else(app, wheel, tmp_path):
    (app / "requirements.txt").write_text("pyyaml\n")
    out = tmp_path / "out"
    other = tmp_path / "yake-1.0-py3-none-any.whl"
    other.write_bytes(b"other")
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    given = Given(wheels=(wheel, other), certificates=tmp_path / "ca.pem")

    recipe = write_context(packed(app), Recipe(), given, out)

    assert recipe.hashed
    assert recipe.wheels
    assert recipe.certificates
    text = (out / "Dockerfile").read_text()
    copied = {
        rest.split()[-2].rstrip("/") for word, rest in instructions(text)
        if word == "COPY" and "--from" not in rest
    }  # fmt: skip
    kept = {line[1:].rstrip("/") for line in (out / ".dockerignore").read_text().splitlines()[2:]}
    assert copied == kept == {p.name for p in out.iterdir()} - {"Dockerfile", ".dockerignore"}
    assert (out / "needs" / "1.txt").read_text() == "pyyaml\n"
    assert "numpy==" in (out / "needs" / "constraints.txt").read_text()


def test_models_may_be_read_by_all_and_written_by_none(app, wheel, tmp_path):
    (app / "sums" / "1" / "sums.onnx").chmod(0o600)
    out = tmp_path / "out"

    write_context(packed(app), Recipe(), Given(wheels=(wheel,)), out)

    for path in (out / "models").rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o755 if path.is_dir() else 0o644), path


def test_what_is_packed_is_served_as_before(app, wheel, tmp_path):
    out = tmp_path / "out"
    write_context(packed(app), Recipe(), Given(wheels=(wheel,)), out)
    [path] = listed((out / "Dockerfile").read_text(), "CMD")

    before = {(s.name, s.version, s.runtime) for s in scan([app], Detector())}
    after = {
        (s.name, s.version, s.runtime)
        for s in scan([path.replace("/models", str(out / "models"))], Detector())
    }

    assert after == before


def test_the_same_input_gives_the_same_bytes_and_leaves_nothing_old(app, wheel, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    given = Given(wheels=(wheel,))
    write_context(packed(app), Recipe(), given, one)
    write_context(packed(app / "sums"), Recipe(), given, two)

    write_context(packed(app), Recipe(), given, two)

    assert tree(one) == tree(two)


def test_mounted_models_are_left_out(app, wheel, tmp_path):
    write_context(packed(app), Recipe(baked=False), Given(wheels=(wheel,)), tmp_path / "out")

    assert not (tmp_path / "out" / "models").exists()


def test_a_directory_of_somebody_else_is_left_alone(app, wheel, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "Dockerfile").write_text("FROM scratch\n")

    with pytest.raises(ConfigError, match=r"holds Dockerfile(.|\n)*--output"):
        write_context(packed(app), Recipe(), Given(wheels=(wheel,)), tmp_path / "out")

    assert (tmp_path / "out" / "Dockerfile").read_text() == "FROM scratch\n"


@pytest.mark.parametrize("break_", ["name", "path", "certificates"])
def test_what_is_refused_leaves_nothing_behind(app, wheel, tmp_path, break_):
    found = packed(app)
    given = Given(wheels=(wheel,))
    if break_ == "name":
        found = replace(found, name="a\nRUN x")
    elif break_ == "path":
        found = replace(found, paths=("/models/\n",))
    else:
        given = replace(given, certificates=tmp_path / "none.pem")

    with pytest.raises(ConfigError):
        write_context(found, Recipe(), given, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_is_no_directory_to_write_into(tmp_path):
    (tmp_path / "out").write_text("")

    with pytest.raises(ConfigError, match="cannot be written into"):
        claim(tmp_path / "out", "Dockerfile")


def test_requirements_that_are_no_text_are_named(app, wheel, tmp_path):
    (app / "requirements.txt").write_bytes(b"\xff\xfe")

    with pytest.raises(ConfigError, match=r"requirements\.txt: cannot be read"):
        write_context(packed(app), Recipe(), Given(wheels=(wheel,)), tmp_path / "out")


def test_texts_are_written_below_a_directory(tmp_path):
    write({"a/b.txt": "é\n"}, tmp_path)

    assert (tmp_path / "a" / "b.txt").read_bytes() == b"\xc3\xa9\n"


@pytest.mark.parametrize(
    ("here", "path", "output", "found"),
    [
        (".", "app", None, "container"),
        (".", "app", "x", "x"),
        (".", "app/sums/1/sums.onnx", None, "container"),
        ("app", ".", None, "../app-container"),
        ("app/sums", "../pipeline.yaml", None, "../../app-container"),
        ("app", "sums/1/sums.onnx", None, "container"),
    ],
    ids=["beside", "given", "file", "inside", "deep", "file-inside"],
)
def test_it_writes_here_but_not_into_what_it_packs(app, monkeypatch, here, path, output, found):
    monkeypatch.chdir(app.parent / here)

    assert place(path, Path(output) if output else None, "container") == Path(found)


def test_an_output_inside_the_path_is_refused(app, monkeypatch):
    monkeypatch.chdir(app.parent)

    with pytest.raises(ConfigError, match=r"lies inside app(.|\n)*--output app-services"):
        place("app", Path("app/services"), "services")
