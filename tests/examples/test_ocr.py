"""The OCR pipeline: prepared as ``make ocr`` does, its answers are those of the package its models are from."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from examples.kit.packages import Package, default_cache, digest, fetch
from examples.ocr import build, client, sample
from PIL import Image
from tests.system.serving import serving

PACKAGE = """
import json, pathlib, sys
sys.path.insert(0, sys.argv[1])
from rapidocr_onnxruntime import RapidOCR
engine = RapidOCR()
answers = {}
for path in map(pathlib.Path, sys.argv[2:]):
    found, _ = engine(path.read_bytes())
    answers[path.stem] = [[box, text, float(score)] for box, text, score in found or []]
print(json.dumps(answers))
"""
PICTURES = ("sample", "english", "chinese", "turned", "line", "blank")


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build.build(tmp_path_factory.mktemp("ocr") / "app")


@pytest.fixture(scope="module")
def pictures(application: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory of pictures: those of the build, and what becomes of them."""
    folder = tmp_path_factory.mktemp("pictures")
    for name in sample.SIGNS:
        (folder / f"{name}.png").write_bytes((application / f"{name}.png").read_bytes())
    with Image.open(folder / "sample.png") as sign:
        sign.rotate(180).save(folder / "turned.png")
        sign.crop((120, 240, 870, 312)).convert("L").save(folder / "line.png")
    Image.new("RGB", (320, 240), "white").save(folder / "blank.png")
    return folder


def picture(folder: Path, name: str) -> Path:
    (found,) = folder.glob(f"{name}.*")
    return found


@pytest.fixture(scope="module")
def package(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Return what the package itself reads: a list of box, text and score for each picture."""
    folder = tmp_path_factory.mktemp("package")
    with zipfile.ZipFile(fetch(build.WEIGHTS, default_cache())) as wheel:
        wheel.extractall(folder)
    run = subprocess.run(
        [sys.executable, "-c", PACKAGE, folder, *(picture(pictures, p) for p in PICTURES)],
        capture_output=True, text=True, check=True, timeout=50,
    )  # fmt: skip
    return json.loads(run.stdout)


@pytest.fixture(scope="module")
def server(application: Path, tmp_path_factory: pytest.TempPathFactory):
    with serving(tmp_path_factory.mktemp("server"), application, "--instances", 1) as running:
        yield running


@pytest.fixture(scope="module")
def asked(server):
    from inferd import Client

    with Client("http://{}:{}".format(*server.data)) as made:
        yield made


def test_what_is_there_is_not_built_again(application: Path, capsys) -> None:
    before = (application / "ocr" / "steps.py").stat().st_ino

    build.build(application)

    assert "up to date" in capsys.readouterr().out
    assert (application / "ocr" / "steps.py").stat().st_ino == before


def test_what_was_made_of_other_files_is_built_again(tmp_path: Path, application: Path) -> None:
    (tmp_path / "ocr").mkdir()
    (tmp_path / "ocr" / "old.py").write_text("")
    (tmp_path / ".ocr.built").write_text("another")

    build.build(tmp_path)

    assert not (tmp_path / "ocr" / "old.py").exists()
    names = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file())
    assert names == sorted(
        p.relative_to(application) for p in application.rglob("*")
        if p.is_file() and "__pycache__" not in p.parts
    )  # fmt: skip


def test_the_command_prints_a_line_that_asks_it(application: Path, capsys) -> None:
    assert build.main(["--out", str(application)]) == 0

    assert f"--data-binary @{application}/sample.png" in capsys.readouterr().out


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(build.NEEDED, "no_such_module", "no-such-package")

    with pytest.raises(SystemExit, match="not installed: no-such-package"):
        build.build(tmp_path)


def test_a_wheel_is_what_was_pinned_or_nothing(monkeypatch, tmp_path: Path) -> None:
    """What lies in the cache with other bytes is fetched anew, what comes with others is refused."""
    good, calls = b"a wheel", []
    wheel = Package("thing", "1.0", "")

    def download(wheel, folder):
        calls.append(wheel)
        (folder / "thing.whl").write_bytes(good)
        return [folder / "thing.whl"]

    monkeypatch.setattr("examples.kit.packages._download", download)
    with pytest.raises(SystemExit, match="other bytes"):
        fetch(wheel, tmp_path)
    assert list(tmp_path.iterdir()) == []

    (tmp_path / "good").write_bytes(good)
    pinned = Package("thing", "1.0", digest(tmp_path / "good"))
    kept = fetch(pinned, tmp_path)
    kept.write_bytes(b"cut off")
    assert fetch(pinned, tmp_path).read_bytes() == good
    assert fetch(pinned, tmp_path) == kept
    assert len(calls) == 3


# ------------------------------------------------------------------------------------- served


def test_the_texts_are_those_of_the_signs(asked, pictures: Path) -> None:
    for name, sign in sample.SIGNS.items():
        result = asked.predict("ocr", {"image": picture(pictures, name)})
        read = [text.replace(" ", "").replace("￥", "¥") for text in result.text("texts")]
        assert read == [text.replace(" ", "") for text, _ in sign.lines]
        assert (result["scores"] > 0.9).all()


def test_upside_down_it_reads_the_same_from_the_last_line_up(asked, pictures: Path) -> None:
    def read(name):
        texts = asked.predict("ocr", {"image": picture(pictures, name)}).text("texts")
        return [text.replace(" ", "") for text in texts]

    assert read("turned") == read("sample")[::-1]


def test_a_picture_without_text_gives_empty_lists(server, pictures: Path) -> None:
    answer = server.ask(
        "/models/ocr/predict", body=picture(pictures, "blank").read_bytes(),
        headers={"Content-Type": "image/png"},
    )  # fmt: skip

    assert answer.result == {"text": "", "texts": [], "scores": [], "boxes": []}


def test_one_path_asks_the_pipeline_and_its_models_are_there_too(server, pictures: Path) -> None:
    body = picture(pictures, "sample").read_bytes()

    answer = server.ask("/predict", body=body, headers={"Content-Type": "image/png"})

    assert answer.result["texts"][0] == sample.SIGNS["sample"].lines[0][0]
    for model in build.MODELS:
        assert server.ask(f"/v2/models/{model}").status == 200


@pytest.mark.parametrize("bad", [b"no picture", b"\x89PNG\r\n\x1a\n1234", b"GIF89a"], ids=repr)
def test_what_is_no_picture_is_the_client_s_mistake(server, bad: bytes) -> None:
    answer = server.ask("/models/ocr/predict", body=bad, headers={"Content-Type": "image/png"})

    assert answer.status == 400, answer.body
    assert "decode" in answer.json["error"]["message"]
    assert "pictur" in answer.json["error"]["message"]


def test_the_client_prints_text_places_and_what_failed(server, pictures: Path, capsys) -> None:
    url = "http://{}:{}".format(*server.data)
    (wrong := pictures / "wrong.txt").write_bytes(b"no picture")

    assert client.main([str(picture(pictures, "english")), "--url", url]) == 0
    assert capsys.readouterr().out.splitlines() == [t for t, _ in sample.SIGNS["english"].lines]
    assert client.main([str(picture(pictures, "chinese")), "--url", url, "--boxes"]) == 0
    assert "图书馆开放时间  1.00  " in capsys.readouterr().out
    assert client.main([str(wrong), str(pictures / "none.png"), "--url", url]) == 1
    err = capsys.readouterr().err
    assert "wrong.txt: " in err
    assert "none.png: " in err


def test_the_page_shows_what_the_client_prints(server, application: Path, capsys) -> None:
    page = (build.HERE / "README.md").read_text()
    command, _, shown = page.partition("$ python -m examples.ocr.client ")[2].partition("\n")
    flag, path = command.split()
    url = "http://{}:{}".format(*server.data)

    assert client.main([flag, str(application / Path(path).name), "--url", url]) == 0

    assert capsys.readouterr().out.strip() == shown.partition("```")[0].strip()


# ------------------------------------------------------------------------------------- beside the package


@pytest.mark.parametrize("name", PICTURES)
def test_the_answer_is_the_package_s_own(asked, pictures: Path, package: dict, name: str) -> None:
    result = asked.predict("ocr", {"image": picture(pictures, name)})

    assert list(result.text("texts")) == [text for _, text, _ in package[name]]
    assert result.text("text") == "\n".join(text for _, text, _ in package[name])
    np.testing.assert_allclose(result["scores"], [s for _, _, s in package[name]], atol=1e-3)
    boxes = np.array([box for box, _, _ in package[name]]).reshape(-1, 4, 2)
    assert result["boxes"].shape == boxes.shape
    np.testing.assert_allclose(result["boxes"], boxes, atol=1)


def test_pictures_of_one_request_are_answered_each(server, pictures: Path, package: dict) -> None:
    names = ("chinese", "blank", "english")
    files = [picture(pictures, name).read_bytes() for name in names]

    answer = server.ask(
        "/models/ocr/predict", [{"b64": base64.b64encode(file).decode()} for file in files]
    )

    for result, name in zip(answer.result, names, strict=True):
        assert result["texts"] == [text for _, text, _ in package[name]]
        assert len(result["boxes"]) == len(package[name])


def test_it_answers_in_a_script(application: Path, pictures: Path, package: dict) -> None:
    import inferd

    with inferd.load(application) as pipeline:
        answer = pipeline.predict(picture(pictures, "chinese").read_bytes())

    assert list(answer["texts"]) == [text for _, text, _ in package["chinese"]]
