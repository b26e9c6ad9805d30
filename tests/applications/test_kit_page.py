"""What the pages of the examples share (examples/kit/page), in a real browser: asking, sound, charts."""

import base64
import io
import json
import threading
import wave
from pathlib import Path

import numpy as np
import pytest
from tests.applications.browser import PHONE, address, check_fits, check_keyboard, launched, shot
from tests.system.serving import serving

KIT = Path(__file__).resolve().parents[2] / "examples" / "kit" / "page"
ECHO = """
from typing import Annotated
import numpy as np
from inferd import Model

class Echo(Model):
    inputs = {"x": ("bytes", [-1])}
    outputs = {"y": ("bytes", [-1])}

    def predict(self, x):
        text = x[0]
        if text == b"refuse":
            raise ValueError("refused on purpose")
        for word in text.split():
            yield {"y": np.array([word], object)}
"""
LENGTH = """
import numpy as np
from inferd import Model

class Length(Model):
    inputs = {"x": ("bytes", [-1])}
    outputs = {"y": ("int64", [-1])}

    def predict(self, x):
        return {"y": np.array([len(one) for one in x])}
"""
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Kit</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><link rel="stylesheet" href="page.css"></head>
<body><header><h1>Kit</h1></header><main>
<section class="card"><label class="drop" id="drop"><input type="file" accept=".txt, audio/*">Choose</label></section>
<section class="card" id="chart"></section><p id="status" class="status"></p></main></body></html>"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kit")
    for name, code in (("echo", ECHO), ("length", LENGTH)):
        model = folder / "models" / name
        (model / "page").mkdir(parents=True)
        (model / "model.py").write_text(code)
        (model / "model.yaml").write_text(f"class: model:{name.capitalize()}\n")
    page = folder / "models" / "echo" / "page"
    page.joinpath("index.html").write_text(PAGE)
    for file in KIT.iterdir():
        (page / file.name).write_bytes(file.read_bytes())
    # the other has no page but an empty directory of that name
    with serving(folder / "server", folder / "models", traces=True) as running:
        yield running


@pytest.fixture
def page(desktop, server):
    return desktop(address(server, "echo"), allow="status of (404|500)|ERR_CONNECTION")


def use(page, code):
    """Run the body of an async function that has the kit as ``kit``; return what it returns."""
    return page.evaluate(f"import('./page.js').then(async kit => {{ {code} }})")


REFUSAL = (
    "catch (error) { return [error.name, error.status, error.kind, error.message, error.help] }"
)


def test_a_page_knows_its_model_and_asks_it(page):
    assert use(page, "return kit.model") == "echo"
    assert use(page, "return await kit.ask('length', 'four')") == 4
    assert use(page, "return await kit.ask('length', ['a', 'bcd'])") == [1, 3]


def test_pieces_are_handed_over_as_they_come(page):
    code = "const seen = []; await kit.stream('echo', 'one two 三', p => seen.push(p)); return seen"

    assert use(page, code) == ["one", "two", "三"]


def test_a_refusal_says_what_and_how_to_mend_it(page):
    name, status, kind, message, help = use(
        page, f"try {{ await kit.ask('lenght', 'x') }} {REFUSAL}"
    )
    assert (name, status, kind) == ("Refused", 404, "not_found")
    assert "lenght" in message and "length" in help

    told = use(page, f"try {{ await kit.stream('echo', 'refuse', () => {{}}) }} {REFUSAL}")
    assert told[:3] == ["Refused", 500, "model_failed"]


def test_a_server_that_does_not_answer_is_said(page):
    page.route("**/predict", lambda route: route.abort("connectionrefused"))

    told = use(page, f"try {{ await kit.ask('length', 'x') }} {REFUSAL}")

    assert told[0] == "Refused" and told[1] == 0 and "does not answer" in told[3]


def test_what_is_given_up_is_no_failure(page):
    code = """const stop = new AbortController(); stop.abort()
    try { await kit.ask('length', 'x', {signal: stop.signal}) }
    catch (error) { kit.problem(document.getElementById('status'), error); return error.name }"""

    assert use(page, code) == "AbortError"
    status = page.locator("#status")
    assert status.text_content() == "Stopped."
    assert status.get_attribute("aria-live") == "polite"


def test_a_large_file_travels_as_base64(page):
    code = """const file = new Blob([new Uint8Array(3_000_001).fill(200)])
    return await kit.ask('length', { b64: await kit.base64(file) })"""

    assert use(page, code) == 3_000_001


def test_files_are_sorted_by_what_is_wanted(page):
    use(
        page,
        """window.told = []
    kit.dropzone(document.getElementById('drop'), f => told.push(['taken', f.name]), f => told.push(['other', f.name]))""",
    )
    choose = page.locator("input[type=file]")

    choose.set_input_files({"name": "a.TXT", "mimeType": "", "buffer": b"x"})
    choose.set_input_files({"name": "b.wav", "mimeType": "audio/wav", "buffer": b"x"})
    choose.set_input_files({"name": "c.png", "mimeType": "image/png", "buffer": b"x"})

    assert page.evaluate("told") == [["taken", "a.TXT"], ["taken", "b.wav"], ["other", "c.png"]]


def heard(page, seconds):
    """Record for so many seconds; return samples, rate and levels."""
    code = f"""const levels = []
    const recording = await kit.record({{seconds: {seconds}, onLevel: x => levels.push(x)}})
    const blob = await recording.done
    return [await kit.base64(blob), blob.type, levels]"""
    text, media, levels = use(page, code)
    assert media == "audio/wav"
    with wave.open(io.BytesIO(base64.b64decode(text))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768, levels


def test_the_microphone_is_recorded_as_wav(tmp_path, server):
    """The browser's microphone hears a tone of 440 Hz from a file; it is in what the page records."""
    rate = 48000
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(6 * rate) / rate)
    with wave.open(str(tmp_path / "tone.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((tone * 32767).astype("<i2").tobytes())
    found = []

    def record():
        with launched(audio=tmp_path / "tone.wav") as browser, browser.window() as window:
            found.append(heard(window.open(address(server, "echo")), 1.5))

    thread = threading.Thread(target=record)  # each thread may have one driver of a browser
    thread.start()
    thread.join(60)
    ((samples, levels),) = found

    assert 1.4 * 16000 <= len(samples) <= 1.8 * 16000
    spectrum = np.abs(np.fft.rfft(samples[4000:20000]))
    assert abs(float(np.argmax(spectrum)) - 440) <= 3  # a bin is a hertz
    assert max(levels) > 0.1 and all(0 <= level <= 1 for level in levels)


def test_a_recording_can_be_stopped_or_given_up(page):
    code = """const one = await kit.record()
    await new Promise(done => setTimeout(done, 400))
    const size = (await one.stop()).size
    const other = await kit.record()
    await other.cancel()
    return [size > 44, await other.done.catch(error => error.name)]"""

    assert use(page, code) == [True, "AbortError"]


def test_a_microphone_that_is_not_allowed_is_said(browser, server):
    with browser.window() as window:
        page = window.open(address(server, "echo"))
        page.evaluate("""() => { navigator.mediaDevices.getUserMedia =
            async () => { throw new DOMException('no', 'NotAllowedError') } }""")

        told = use(page, f"try {{ await kit.record() }} {REFUSAL}")

    assert "not allowed" in told[3] and "choose a file" in told[4]


LINE = {
    "title": "Mood", "labels": [f"2026-01-{day:02}" for day in range(1, 15)],
    "series": [
        {"name": "News", "values": [0.1 * (day % 5) - 0.2 for day in range(14)]},
        {"name": "评论", "values": [None if day == 4 else 0.05 * day for day in range(14)]},
    ],
}  # fmt: skip
BARS = {
    "title": "Terms",
    "rows": [
        {"name": "<b>rise</b>", "value": 0.8},
        {"name": "fall " * 20, "value": -0.4, "text": "-40 %"},
    ],
}


def test_charts_say_their_numbers_and_fit_a_phone(browser, server):
    with browser.window(PHONE) as window:
        page = window.open(address(server, "echo"))
        use(
            page,
            f"""kit.chart.line(document.getElementById('chart'), {json.dumps(LINE)})
        const bars = document.createElement('section')
        bars.className = 'card'
        document.querySelector('main').append(bars)
        kit.chart.bar(bars, {json.dumps(BARS)})""",
        )

        assert page.get_by_role("img", name="Mood").is_visible()
        page.get_by_text("As a table").tap()
        assert page.get_by_role("row").count() == 15
        assert page.locator("svg path").nth(1).get_attribute("d").count("M") == 2  # a gap
        assert page.get_by_text("<b>rise</b>").is_visible()  # never read as HTML
        assert page.locator(".below").count() == 1
        check_fits(page)
        check_keyboard(page)
        shot(page, "kit-charts")
