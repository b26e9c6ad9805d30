import io
import json

import click
import numpy as np
import pytest
from PIL import Image

from inferd.cli.body import read_body
from inferd.core.errors import InvalidInput


def no_stdin():
    pytest.fail("standard input was read")


def image(format):
    out = io.BytesIO()
    Image.new("L", (2, 2)).save(out, format)
    return out.getvalue()


def npy():
    out = io.BytesIO()
    np.save(out, np.zeros(3))
    return out.getvalue()


@pytest.mark.parametrize(
    ("written", "data"),
    [
        ("[1, 2.5]", [1, 2.5]),
        ("5.1,3.5,1.4", [5.1, 3.5, 1.4]),
        ("1,2", [1, 2]),
        ("1e0, 2,-3E2", [1.0, 2, -300.0]),
        ("1,nan", "1,nan"),
        ('{"x": [1]}', {"x": [1]}),
        ('{"data": [1]}', [1]),
        ("3", 3),
        ("a fine film", "a fine film"),
        ("one, two", "one, two"),
        ('"5"', "5"),
        ("", ""),
    ],
    ids=repr,
)
def test_an_argument_is_json_numbers_or_text(written, data):
    body = read_body(written, None, None, no_stdin)

    assert body.media == "application/json"
    assert json.loads(body.data) == {"data": data}


def test_a_whole_request_is_sent_as_it_is():
    body = read_body('{"data": [1], "outputs": ["y"]}', None, None, no_stdin)

    assert json.loads(body.data) == {"data": [1], "outputs": ["y"]}


@pytest.mark.parametrize(
    ("name", "content", "media"),
    [
        ("a.png", image("PNG"), "image/png"),
        ("a.jpg", image("JPEG"), "image/jpeg"),
        ("noending", image("PNG"), "image/png"),
        ("wrong.jpg", image("PNG"), "image/png"),
        ("a.npy", npy(), "application/x-npy"),
        ("a.wav", b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
        ("wrong.ogg", b"fLaC\0\0\0\x22", "audio/flac"),
        ("noending", b"OggS\0\2", "audio/ogg"),
        ("a.opus", b"?", "audio/ogg"),
        ("a.csv", b"1,2\n3,4\n", "text/csv"),
        ("a.txt", "gr\u00fc\u00df".encode(), "text/plain"),
        ("a.json", b"[1, 2]", "application/json"),
    ],
)
def test_a_file_is_known_by_its_first_bytes_or_its_ending(tmp_path, name, content, media):
    path = tmp_path / name
    path.write_bytes(content)
    body = read_body(None, path, None, no_stdin)

    assert body.media == media
    if media == "application/json":
        assert json.loads(body.data) == {"data": [1, 2]}
    else:
        assert body.data == content


def test_the_name_of_a_file_is_enough_as_argument(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("1,2\n")

    assert read_body(str(path), None, None, no_stdin).media == "text/csv"


@pytest.mark.parametrize(
    "text",
    ["see missing.csv", "x" * 5000 + ".csv", "a\0.csv", "example.org"],
    ids=["a sentence", "long", "nul", "no known ending"],
)
def test_what_is_no_file_is_a_text(text):
    assert json.loads(read_body(text, None, None, no_stdin).data) == {"data": text}


@pytest.mark.parametrize(
    ("content", "media"),
    [(b"[1]", "application/json"), (image("PNG"), "image/png"), (npy(), "application/x-npy"),
     (b"some text\n", "application/json")],
    ids=["json", "png", "npy", "text"],
)  # fmt: skip
@pytest.mark.parametrize("how", ["argument", "file"])
def test_standard_input_is_looked_at(tmp_path, content, media, how):
    from pathlib import Path

    body = read_body(
        "-" if how == "argument" else None,
        Path("-") if how == "file" else None,
        None,
        lambda: content,
    )

    assert body.media == media


def test_a_type_that_is_said_wins():
    assert read_body("1,2", None, "text/csv", no_stdin).data == b"1,2"
    assert read_body("-", None, "text/plain", lambda: b"[1]").data == b"[1]"


@pytest.mark.parametrize(
    ("data", "file", "media", "message"),
    [
        (None, None, None, "no data"),
        ("1", "x", None, "both"),
        (None, "missing.json", None, "missing.json: cannot be read: No such file"),
        ("{broken", None, "application/json", "JSON"),
        ("missing.png", None, None, "missing.png: cannot be read: No such file"),
    ],
    ids=["nothing", "both", "missing", "broken", "argument"],
)
def test_a_mistake_is_explained(tmp_path, monkeypatch, data, file, media, message):
    from pathlib import Path

    monkeypatch.chdir(tmp_path)
    with pytest.raises((InvalidInput, click.UsageError), match=message):
        read_body(data, Path(file) if file else None, media, no_stdin)


def test_bytes_that_are_nothing_known_need_a_type():
    with pytest.raises(InvalidInput, match="neither"):
        read_body("-", None, None, lambda: b"\xfe\x00\xff")


@pytest.mark.parametrize("format", ["WEBP", "GIF", "BMP"], ids=str.lower)
def test_other_images_travel_as_they_are(tmp_path, format):
    path = tmp_path / f"a.{format.lower()}"
    path.write_bytes(image(format))
    for given in ((str(path), None), (None, path)):
        body = read_body(*given, None, no_stdin)
        assert (body.media, body.data) == (f"image/{format.lower()}", image(format))


@pytest.mark.parametrize(
    ("text", "media"),
    [
        ("1,2\n3,4\n", "text/csv"),
        ("a,b\n1,2\n3,\n", "text/csv"),
        ("one, two\nthree, four\n", "application/json"),
        ("1,2\n3\n", "application/json"),
    ],
    ids=["numbers", "names and numbers", "prose", "ragged"],
)
def test_lines_of_numbers_are_a_table(text, media):
    assert read_body("-", None, None, text.encode).media == media
