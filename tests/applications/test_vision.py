"""The image classifier: right answers whatever a picture's form, and its page in a real browser."""

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from examples.vision import client, prepare
from PIL import Image
from tests.applications.browser import address, check_fits, check_page, shot

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "pages.md"


@pytest.fixture(scope="module")
def server(serve):
    return serve("vision", "--instances", 1)


@pytest.fixture(scope="module")
def folder(prepared):
    return prepared("vision") / "vision"


@pytest.fixture(scope="module")
def photographs(folder):
    """Return scikit-learn's photographs by name, as files and as pictures."""
    return {name: folder / "page" / name for name in prepare.EXPECTED}


def written(picture, kind="JPEG", **more):
    held = io.BytesIO()
    picture.save(held, kind, **more)
    return held.getvalue()


def asked(server, body, media="image/jpeg"):
    answer = server.ask("/models/vision/predict", body=body, headers={"Content-Type": media})
    assert answer.status == 200, answer.body
    result = answer.json["result"]
    assert len(result["label"]) == len(result["score"]) == 5
    assert result["score"] == sorted(result["score"], reverse=True)
    return dict(zip(result["label"], result["score"], strict=True))


def first(answer):
    return next(iter(answer))


@pytest.mark.parametrize(("name", "expected"), prepare.EXPECTED.items())
def test_a_photograph_is_named_rightly(server, photographs, name, expected):
    answer = asked(server, photographs[name].read_bytes())

    assert first(answer) == expected
    assert answer[expected] > 2 * sorted(answer.values())[-2]


def test_the_usual_figures_of_imagenet_would_make_a_lampshade_of_the_flower(
    folder, tmp_path, photographs
):
    import inferd

    model = tmp_path / "wrong"
    (model / "1").mkdir(parents=True)
    for name in ("model.onnx", "labels.txt"):
        (model / "1" / name).hardlink_to(folder / "1" / name)
    usual = "{mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375]}"
    text = (folder / "model.yaml").read_text()
    (model / "model.yaml").write_text(re.sub(r"\{mean: 127, std: 128\}.*", usual, text))

    with inferd.load(model) as loaded:
        answer = loaded.predict(photographs["flower.jpg"].read_bytes())

    assert answer["label"][0] == "lampshade"


def test_the_way_a_camera_was_held_makes_no_difference(server, photographs):
    with Image.open(photographs["china.jpg"]) as picture:
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned by a quarter to be upright
        turned = written(picture.transpose(Image.Transpose.ROTATE_90), exif=exif, quality=95)

        assert first(asked(server, turned)) == "palace"
        # without the note it lies on its side: the note is what is heeded
        assert (
            first(asked(server, written(picture.transpose(Image.Transpose.ROTATE_90)))) != "palace"
        )


def test_the_form_of_a_file_makes_no_difference(server, photographs):
    with Image.open(photographs["flower.jpg"]) as picture:
        transparent = picture.convert("RGBA")
        plain = asked(server, written(picture, "PNG"), "image/png")

        assert asked(server, written(transparent, "PNG"), "image/png") == plain
        for body in (written(picture.convert("CMYK")), written(picture, progressive=True)):
            assert first(asked(server, body)) == "daisy"
        webp = base64.b64encode(written(picture, "WEBP", quality=95)).decode()

    answer = server.ask("/models/vision/predict", data=webp).result
    assert answer["label"][0] == "daisy"


def test_a_grey_picture_is_taken(server, photographs):
    with Image.open(photographs["china.jpg"]) as picture:
        answer = asked(server, written(picture.convert("L")))

    assert "palace" in answer


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (640, 3)])
def test_a_tiny_or_thin_picture_is_answered(server, size):
    answer = asked(server, written(Image.new("RGB", size, "teal"), "PNG"), "image/png")

    assert all(0 <= score <= 1 for score in answer.values())


@pytest.mark.parametrize("what", ["nothing", "noise", "half", "text"])
def test_what_is_no_picture_is_refused_and_the_server_lives(server, photographs, what):
    whole = photographs["flower.jpg"].read_bytes()
    noise = np.random.default_rng(0).bytes(5000)
    body = {"nothing": b"", "noise": noise, "half": whole[:4000], "text": b"<svg/>"}[what]

    refused = server.ask(
        "/models/vision/predict", body=body, headers={"Content-Type": "image/jpeg"}
    )

    assert refused.status == 400
    assert refused.json["error"]["kind"] == "invalid_input"
    assert first(asked(server, whole)) == "daisy"


def test_several_pictures_are_one_batch(server, photographs):
    files = [photographs[name].read_bytes() for name in prepare.EXPECTED]

    answers = server.ask(
        "/models/vision/predict", data=[base64.b64encode(body).decode() for body in files]
    ).result

    assert [answer["label"][0] for answer in answers] == list(prepare.EXPECTED.values())


def test_the_client_prints_the_five_and_says_what_failed(server, photographs, tmp_path, capsys):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"none")
    url = "http://{}:{}".format(*server.data)

    assert client.main(["--url", url, str(photographs["flower.jpg"])]) == 0
    assert re.search(r"\d+\.\d%  daisy", capsys.readouterr().out)
    assert client.main(["--url", url, str(broken), str(photographs["china.jpg"])]) == 1
    said = capsys.readouterr()
    assert "broken.png" in said.err and "palace" in said.out


def test_it_is_prepared_once(prepared, capsys):
    out = prepared("vision")
    before = (out / "vision" / "1" / "model.onnx").stat().st_ino

    prepare.build(out)

    assert "up to date" in capsys.readouterr().out
    assert (out / "vision" / "1" / "model.onnx").stat().st_ino == before


# ------------------------------------------------------------------------------------- the page


def bars(page):
    page.wait_for_selector("#bars li")
    return page.locator("#bars .name").all_text_contents()


def test_its_page_names_an_uploaded_picture(desktop, server, photographs):
    page = desktop("http://{}:{}/".format(*server.data))  # leads to the only page

    assert page.url == address(server, "vision")
    check_page(page)
    page.locator("input[type=file]").set_input_files(photographs["flower.jpg"])

    assert bars(page)[0] == "daisy"
    page.get_by_text(re.compile(r"Answered in \d+ ms")).wait_for()
    page.wait_for_function("document.querySelector('#shown').naturalWidth == 640")
    check_fits(page)
    shot(page, "vision-desktop")


def test_its_page_works_on_a_phone(phone, server):
    page = phone(address(server, "vision"))

    check_page(page)
    page.get_by_role("button", name="Sample: a building").tap()

    assert bars(page)[0] == "palace"
    page.wait_for_function(
        "document.querySelector('#bars').getBoundingClientRect().bottom < innerHeight + 2"
    )
    check_fits(page)
    shot(page, "vision-phone")


def test_its_page_works_in_the_dark(browser, server):
    with browser.window(color_scheme="dark") as window:
        page = window.open(address(server, "vision"))
        page.get_by_role("button", name="Sample: an orange flower").click()

        assert bars(page)[0] == "daisy"
        shot(page, "vision-dark")


def test_its_page_is_done_by_keyboard(desktop, server, photographs):
    page = desktop(address(server, "vision"))
    page.keyboard.press("Tab")
    page.wait_for_function("document.activeElement.id == 'file'")
    with page.expect_file_chooser() as chosen:
        page.evaluate("0")  # what waits for the chooser is in place before a key is pressed
        page.keyboard.press("Enter")
    chosen.value.set_files(photographs["china.jpg"])
    assert bars(page)[0] == "palace"

    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    page.get_by_role("listitem").filter(has_text="daisy").wait_for()


def test_its_page_takes_a_picture_that_is_dropped(desktop, server, photographs):
    page = desktop(address(server, "vision"))
    text = base64.b64encode(photographs["flower.jpg"].read_bytes()).decode()
    given = page.evaluate_handle(
        """text => { const data = new DataTransfer()
        data.items.add(new File([Uint8Array.from(atob(text), c => c.charCodeAt(0))], 'dropped.jpg',
                                {type: 'image/jpeg'}))
        return data }""",
        text,
    )

    page.dispatch_event("#drop", "drop", {"dataTransfer": given})

    assert bars(page)[0] == "daisy"
    assert page.locator("#caption").text_content() == "dropped.jpg"


def test_the_lines_of_the_documents_ask_it(desktop, server, photographs):
    (code,) = re.findall(r"```js\n(const response.*?)```", DOCUMENT.read_text(), re.DOTALL)
    page = desktop(address(server, "vision"))
    text = base64.b64encode(photographs["flower.jpg"].read_bytes()).decode()

    result = page.evaluate(
        f"""async text => {{
        const file = new Blob([Uint8Array.from(atob(text), c => c.charCodeAt(0))])
        {code}
        return result }}""",
        text,
    )

    assert result["label"][0] == "daisy"


def test_its_page_says_what_is_wrong(desktop, server, tmp_path: Path):
    page = desktop(address(server, "vision"), allow=r"status of 400")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"none")
    page.locator("input[type=file]").set_input_files(broken)

    page.locator("#status[data-kind=error]").wait_for()
    assert "image" in page.locator("#status").text_content()
    shot(page, "vision-refused")

    page.get_by_role("button", name="Sample: an orange flower").click()
    assert bars(page)[0] == "daisy"


def test_its_page_says_that_the_server_is_gone(desktop, server):
    page = desktop(address(server, "vision"), allow="ERR_CONNECTION_REFUSED")
    page.route("**/predict", lambda route: route.abort("connectionrefused"))

    page.get_by_role("button", name="Sample: an orange flower").click()

    page.get_by_text("The server does not answer.").wait_for()
