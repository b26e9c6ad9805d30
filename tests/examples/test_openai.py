"""The page about the OpenAI dialect is what happens: its models, its client, its command.

And what the page promises of real clients, with the unmodified ``openai`` package on a real server.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import shlex
import subprocess
import time
import wave
from pathlib import Path

import pytest
from tests.system.serving import serving, until

openai = pytest.importorskip("openai")

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "openai.md").read_text()
FILES = dict(re.findall(r"`(models/\S+)`:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL))
ADDRESS = "http://127.0.0.1:8000"

SLOW = '''
import time
from collections.abc import Iterator
from pathlib import Path

from inferd import Model


class Slow(Model):
    """Counts, and writes down how far it came."""

    def load(self, path):
        self.note = Path(path) / "note" if Path(path).is_dir() else Path(path).parent / "note"

    def predict(self, messages: str, count: int = 100, fail: int = -1) -> Iterator[bytes]:
        given = 0
        try:
            for number in range(count):
                if number == fail:
                    raise ValueError("it broke")
                time.sleep(0.05)
                given += 1
                yield f"{number} é ".encode()
        finally:
            self.note.write_text(str(given))
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("openai")
    more = {
        "models/slow/model.yaml": "task: generate\nclass: slow:Slow\nreplay: false\n",
        "models/slow/1/slow.py": SLOW,
    }
    for name, text in {**FILES, **more}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture(scope="module")
def server(folder):
    with serving(folder / "server", folder / "models", traces=True) as server:
        yield server


@pytest.fixture
def base(server):
    host, port = server.data
    return f"http://{host}:{port}"


@pytest.fixture
def client(base):
    with openai.OpenAI(base_url=f"{base}/v1", api_key="any", max_retries=0) as client:
        yield client


HI = [{"role": "user", "content": "hello there, parrot"}]


def test_the_page_shows_what_its_client_prints(base):
    code, printed = re.search(
        r"```python\n(from openai .*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL
    ).groups()
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        scope = {}
        exec(code.replace(ADDRESS, base), scope)
        scope["client"].close()

    assert out.getvalue().strip() == printed.strip()


def speech(seconds):
    """A WAV file of silence."""
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(2 * 8000 * seconds))
    return out.getvalue()


def test_the_page_shows_what_its_client_hears(client, tmp_path, monkeypatch):
    code, printed = re.search(
        r"```python\n(from pathlib .*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL
    ).groups()
    (tmp_path / "speech.wav").write_bytes(speech(2))
    monkeypatch.chdir(tmp_path)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, {"client": client})

    assert out.getvalue().strip() == printed.strip()


def test_the_pages_form_is_answered(base, tmp_path):
    words = shlex.split(re.search(r"\$ (curl .* -F .*)", PAGE)[1])
    (tmp_path / "speech.wav").write_bytes(speech(1))
    words[1] = words[1].replace(ADDRESS, base)
    answer = subprocess.run(
        [words[0], "-s", *words[1:]], cwd=tmp_path, capture_output=True, check=True
    )

    assert answer.stdout == b"1 s, silence\n"


def test_a_recording_of_some_megabytes_is_heard(client):
    found = client.audio.transcriptions.create(model="ears", file=("a.wav", speech(300)))

    assert found.text.endswith("299 s, 300 s, silence")


def test_speech_that_cannot_be_written_as_asked_is_refused(client):
    given = {"model": "ears", "file": ("a.wav", speech(1))}
    for more in ({"response_format": "srt"}, {"include": ["logprobs"]}, {"temperature": 7}):
        with pytest.raises(openai.BadRequestError) as bad:
            client.audio.transcriptions.create(**given, **more)
        assert bad.value.param == next(iter(more))
    with pytest.raises(openai.BadRequestError, match="does not transcribe"):
        client.audio.transcriptions.create(**{**given, "model": "parrot"})
    with pytest.raises(openai.InternalServerError):
        client.audio.transcriptions.create(model="ears", file=("a.wav", b"no sound"))


def test_the_pages_command_is_answered(server):
    words = shlex.split(re.search(r"\$ (curl .*)", PAGE)[1])
    body = words[words.index("-d") + 1]
    answer = server.ask(
        words[1].removeprefix(ADDRESS), body=body, headers={"Content-Type": "application/json"}
    )

    assert answer.json["choices"][0] == {
        "index": 0, "text": "one two ", "logprobs": None, "finish_reason": "length",
    }  # fmt: skip


def test_the_pages_prompt_is_the_one_a_model_gets(client):
    shown = re.search(r"```text\n(system: .*?)\n```", PAGE, re.DOTALL)[1]
    messages = [{"role": "system", "content": "Be brief."}, *HI]
    answer = client.chat.completions.create(model="parrot", messages=messages)

    assert answer.choices[0].message.content == " ".join(shown.split()) + " "


def test_vectors_come_as_numbers_and_as_base64(client):
    texts = ["a", "bc", "aae"]
    packed = client.embeddings.create(model="vectors", input=texts)  # base64, unasked
    plain = client.embeddings.create(model="vectors", input=texts, encoding_format="float")
    short = client.embeddings.create(model="vectors@1", input="aae", dimensions=2)

    assert [e.embedding for e in packed.data] == [[1, 1, 0], [2, 0, 0], [3, 2, 1]]
    assert [e.embedding for e in plain.data] == [e.embedding for e in packed.data]
    assert [e.index for e in packed.data] == [0, 1, 2]
    assert packed.usage.prompt_tokens == packed.usage.total_tokens == 3
    assert len(short.data[0].embedding) == 2


def test_a_large_request_of_vectors_is_answered(client):
    texts = [f"{i} " + "a" * 400 for i in range(2000)]
    found = client.embeddings.create(model="vectors", input=texts)

    assert [e.embedding[1] for e in found.data] == [400.0] * 2000


def test_a_whole_answer_has_its_usage(client):
    answer = client.chat.completions.create(model="parrot", messages=HI, n=2, stop=["there"])

    assert [c.message.content for c in answer.choices] == ["user: hello "] * 2
    assert [c.finish_reason for c in answer.choices] == ["stop"] * 2
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.object == "chat.completion"


def test_a_stream_tells_its_usage(client):
    options = {"include_usage": True}
    *chunks, last = client.chat.completions.create(
        model="slow", messages=HI, stream=True, stream_options=options, max_tokens=3
    )

    text = "".join(c.choices[0].delta.content or "" for c in chunks)
    assert text == "0 é 1 é 2 é "
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "length"
    assert all(c.usage is None for c in chunks)
    assert (last.choices, last.usage.completion_tokens) == ([], 3)


def test_completions_are_whole_or_streamed(client):
    whole = client.completions.create(
        model="parrot", prompt=["a b c", "d"], max_tokens=2, echo=True
    )
    stream = client.completions.create(model="parrot", prompt="a b", stream=True)

    assert [c.text for c in whole.choices] == ["a b ca b ", "dd "]
    assert [(c.choices[0].text, c.choices[0].finish_reason) for c in stream] == [
        ("a ", None), ("b ", None), ("", "stop"),
    ]  # fmt: skip


def test_models_are_listed_and_found(client, base):
    assert [m.id for m in client.models.list()] == ["ears", "parrot", "slow", "vectors"]
    assert client.models.retrieve("parrot").object == "model"
    with openai.OpenAI(base_url=f"{base}/openai/v1", api_key="any") as below:
        assert [m.id for m in below.models.list()] == ["ears", "parrot", "slow", "vectors"]
        assert below.models.retrieve("slow").id == "slow"
        answer = below.chat.completions.create(model="parrot", messages=HI, max_tokens=1)
        assert answer.choices[0].message.content == "user: "


def test_errors_are_the_clients_own(client):
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="gpt-x", messages=HI)
    with pytest.raises(openai.BadRequestError) as bad:
        client.chat.completions.create(model="parrot", messages=HI, temperature=7)
    with pytest.raises(openai.BadRequestError, match="does not make embeddings"):
        client.embeddings.create(model="parrot", input="x")
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-x")
    with pytest.raises(openai.InternalServerError) as failed:
        client.chat.completions.create(model="slow", messages=HI, extra_body={"fail": 0})

    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    assert (bad.value.type, bad.value.param) == ("invalid_request_error", "temperature")
    assert failed.value.code == "model_failed"


def test_a_failure_in_the_middle_of_a_stream_is_an_error_of_the_client(client):
    stream = client.chat.completions.create(
        model="slow", messages=HI, stream=True, extra_body={"fail": 2}
    )
    said = ""
    with pytest.raises(openai.APIError, match="it broke"):
        for chunk in stream:
            said += chunk.choices[0].delta.content or ""

    assert said == "0 é 1 é "


def test_a_deadline_ends_an_answer(client):
    with pytest.raises(openai.InternalServerError) as late:
        client.chat.completions.create(
            model="slow", messages=HI, extra_headers={"X-Request-Timeout": "200ms"}
        )

    assert (late.value.status_code, late.value.code) == (504, "deadline_exceeded")


def test_a_client_that_goes_away_ends_the_generation_within_a_token(client, folder):
    note = folder / "models/slow/1/note"
    note.unlink(missing_ok=True)
    stream = client.chat.completions.create(model="slow", messages=HI, stream=True)
    got = 0
    for chunk in stream:
        got += bool(chunk.choices[0].delta.content)
        if got == 5:
            break
    stream.close()
    until(note.exists, 2)

    assert int(note.read_text()) <= got + 1  # the one that was being made


def test_clients_that_go_away_leave_their_places_to_others(client):
    for _ in range(20):  # more than are generated for at a time
        client.chat.completions.create(model="slow", messages=HI, stream=True).close()
    begin = time.monotonic()
    client.chat.completions.create(model="slow", messages=HI, max_tokens=1)

    assert time.monotonic() - begin < 2


def test_too_many_requests_are_told_to_come_back(folder):
    with serving(folder / "busy", folder / "models", "--queue-items", "1") as server:
        host, port = server.data
        with openai.OpenAI(
            base_url=f"http://{host}:{port}/v1", api_key="any", max_retries=0
        ) as client:
            with pytest.raises(openai.RateLimitError) as busy:
                client.chat.completions.create(model="slow", messages=HI, n=40)

    assert (busy.value.code, busy.value.type) == ("rate_limit_exceeded", "rate_limit_error")
    assert int(busy.value.response.headers["Retry-After"]) >= 1


def test_the_asynchronous_client_works_too(base):
    async def run():
        async with openai.AsyncOpenAI(base_url=f"{base}/v1", api_key="any") as client:
            stream = await client.chat.completions.create(model="parrot", messages=HI, stream=True)
            text = "".join([c.choices[0].delta.content or "" async for c in stream])
            vectors, whole = await asyncio.gather(
                client.embeddings.create(model="vectors", input="a"),
                client.chat.completions.create(model="parrot", messages=HI),
            )
            return text, vectors.data[0].embedding, whole.choices[0].message.content

    text, vector, whole = asyncio.run(run())
    assert text == whole == "user: hello there, parrot assistant: "
    assert vector == [1, 1, 0]


def test_a_stream_comes_piece_by_piece(client):
    begin = time.monotonic()
    times = [
        time.monotonic() - begin
        for _ in client.chat.completions.create(
            model="slow", messages=HI, stream=True, max_tokens=20
        )
    ]

    assert times[0] < 0.5 < times[-1]


def test_what_was_asked_is_counted(server, client):
    client.chat.completions.create(model="parrot", messages=HI)
    (counted,) = (
        v for k, v in server.metrics().items()
        if k.startswith("inferd_requests_total") and 'model="parrot"' in k and '"openai"' in k and "200" in k
    )  # fmt: skip

    assert counted >= 1
    assert json.dumps(server.describe("parrot"))
