"""llama.cpp behind our doors: a real engine, two of it, one that dies, and clients that go away."""

import asyncio
import base64
import http.client
import itertools
import json
import signal

import numpy as np
import openai
import pytest
from tests.system.llamacpp import KEY, Llama
from tests.system.serving import serving, until
from tests.system.test_services import free_ports

STORY = "Tell me a story about a lighthouse."
PIPELINE = """
inputs: {question: {dtype: bytes}}
steps:
  answer: {model: chat, inputs: {prompt: question}}
outputs: {text: answer.text}
"""


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engines")
    made = [Llama(folder, port) for port in free_ports(2)]
    try:
        for engine in made:
            engine.wait_up()
        yield made  # one of them is replaced by a test
    finally:
        for engine in made:
            engine.kill()


@pytest.fixture(scope="module")
def embedding(tmp_path_factory):
    engine = Llama(tmp_path_factory.mktemp("embeds"), free_ports(1)[0], embeds=True)
    try:
        yield engine.wait_up()
    finally:
        engine.kill()


def deployment(folder, **services):
    path = folder / "deployment.yaml"
    rows = {name: {"protocol": "openai", **row} for name, row in services.items()}
    path.write_text(json.dumps({"services": rows}))
    return path


@pytest.fixture(scope="module")
def front(engines, embedding, tmp_path_factory):
    folder = tmp_path_factory.mktemp("front")
    (folder / "models" / "asked").mkdir(parents=True)
    (folder / "models" / "asked" / "pipeline.yaml").write_text(PIPELINE)
    path = deployment(
        folder, chat={"url": [e.url for e in engines], "key": "${ENGINE_KEY}"},
        vectors={"url": embedding.url, "task": "embed", "key": KEY},
    )  # fmt: skip
    with serving(
        folder / "s", folder / "models", "--deployment", path, env={"ENGINE_KEY": KEY}
    ) as server:
        until(lambda: server.ask("/readyz").status == 200, 20)
        yield server
        assert KEY not in server.log + server.access + server.banner


def client(front, kind=openai.OpenAI):
    return kind(base_url="http://{}:{}/v1".format(*front.data), api_key="-", max_retries=0)


@pytest.fixture
def asking(front):
    with client(front) as made:
        yield made


def chat(**more):
    messages = [{"role": "user", "content": STORY}]
    return {"model": "chat", "messages": messages, "temperature": 0, **more}


def told(engine, path, **body):
    """Return what an engine answers when it is asked itself."""
    answer = engine.ask(path, {"temperature": 0, **body})
    assert answer.status == 200, answer.data
    return json.loads(answer.data)


def test_a_conversation_is_streamed_and_counted_as_the_engine_does(front, asking, engines):
    asked = asking.chat.completions.create(
        **chat(max_tokens=16), stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = asked
    texts = [c.choices[0].delta.content for c in chunks if c.choices[0].delta.content]
    own = told(engines[0], "/v1/chat/completions", messages=chat()["messages"], max_tokens=16)

    assert "".join(texts) == own["choices"][0]["message"]["content"]
    assert len(texts) > 8
    assert chunks[-1].choices[0].finish_reason == "length"
    usage = own["usage"]
    assert last.usage.prompt_tokens == usage["prompt_tokens"]
    assert last.usage.completion_tokens == usage["completion_tokens"] == 16
    assert KEY not in json.dumps(front.describe("chat"))


def test_a_completion_goes_on_from_the_text_itself(asking, engines):
    given = asking.completions.create(
        model="chat", prompt="Once upon a time", max_tokens=8, temperature=0
    )
    own = told(engines[0], "/v1/completions", prompt="Once upon a time", max_tokens=8)

    assert given.choices[0].text == own["choices"][0]["text"]
    assert given.usage.prompt_tokens == own["usage"]["prompt_tokens"]


def test_every_door_asks_it(front, engines):
    own = told(engines[0], "/v1/completions", prompt="The sea", max_tokens=8)["choices"][0]["text"]
    parameters = {"max_tokens": 8, "temperature": 0}
    body = json.dumps({"data": {"prompt": "The sea"}, "parameters": parameters})
    kind = {"Content-Type": "application/json"}
    simple = front.ask("/models/chat/predict", body=body, headers=kind).result
    assert (simple["text"], simple["finish_reason"]) == (own, "length")

    body = json.dumps({"prompt": "The sea", "parameters": parameters})
    events = front.ask("/v2/models/chat/generate_stream", body=body, headers=kind).body.decode()
    rows = [json.loads(line[6:]) for line in events.splitlines() if line.startswith("data: ")]
    assert "".join(row.get("text", "") for row in rows) == own
    assert len(rows) > 4

    row = {"name": "question", "datatype": "BYTES", "shape": [1], "data": ["The sea"]}
    body = json.dumps({"inputs": [row], "parameters": parameters})
    piped = front.ask("/v2/models/asked/infer", body=body, headers=kind).json
    assert piped["outputs"][0]["data"] == [own]


def test_grpc_streams_it(front, engines):
    from tritonclient.grpc import InferenceServerClient, InferInput

    own = told(engines[0], "/v1/completions", prompt="The sea", max_tokens=8)["choices"][0]["text"]
    given = InferInput("prompt", [1], "BYTES")
    given.set_data_from_numpy(np.array([b"The sea"], object))
    results = []
    with InferenceServerClient(front.grpc) as asking:
        asking.start_stream(lambda result, error: results.append((result, error)))
        asking.async_stream_infer("chat", [given], parameters={"max_tokens": 8, "temperature": 0})
        asking.stop_stream()
    assert not [error for _, error in results if error]
    texts = [result.as_numpy("text") for result, _ in results]
    assert b"".join(t[0] for t in texts if t is not None and t.size).decode() == own
    assert len(results) > 4


def test_a_client_that_goes_away_frees_the_engine(front, engines):
    assert sum(engine.busy() for engine in engines) == 0
    connection = http.client.HTTPConnection(*front.data, timeout=60)
    body = json.dumps(chat(max_tokens=900, stream=True, ignore_eos=True))
    connection.request("POST", "/v1/chat/completions", body)
    answer = connection.getresponse()
    assert answer.read(400).count(b"data: ")
    assert sum(engine.busy() for engine in engines) == 1
    answer.close()
    connection.close()
    until(lambda: sum(engine.busy() for engine in engines) == 0, 10)
    assert sum(row["in_flight"] for row in front.describe("chat")["replicas"]) == 0


def test_vectors_are_the_engines_own(asking, embedding):
    texts = ["a lighthouse", "the sea at night", "7"]
    given = asking.embeddings.create(model="vectors", input=texts, encoding_format="base64")
    own = json.loads(embedding.ask("/v1/embeddings", {"input": texts}).data)

    for mine, theirs in zip(given.data, own["data"], strict=True):
        found = np.frombuffer(base64.b64decode(mine.embedding), "<f4")
        np.testing.assert_allclose(found, theirs["embedding"], atol=1e-5)
    assert given.usage.prompt_tokens == own["usage"]["prompt_tokens"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"key": "wrong-key"}, "service 'chat': Invalid API Key"),
        ({"key": KEY, "model": "gpt-5"}, "it has no model 'gpt-5': it lists 'smollm2'"),
        ({"key": KEY, "task": "embed"}, "does not support embeddings"),
    ],
    ids=["key", "model", "task"],
)
def test_an_engine_that_does_not_fit_is_named_with_the_reason(engines, tmp_path, row, reason):
    path = deployment(tmp_path, chat={"url": engines[0].url, **row})
    with serving(tmp_path / "s", "--deployment", path) as server:
        until(lambda: reason in (server.describe("chat")["reason"] or ""), 10)
        assert server.ask("/readyz").status == 503
        with (
            client(server) as asking, pytest.raises(openai.InternalServerError, match="'chat'"),
        ):  # fmt: skip
            asking.chat.completions.create(**chat(max_tokens=4))
        shown = server.log + server.banner + json.dumps(server.describe("chat"))
        assert row["key"] not in shown


class Clients:
    """Clients that stream one conversation after the other until they are told to stop."""

    def __init__(self, asking):
        self._client = asking
        self._numbers = itertools.count()
        self.good = self.broken = 0
        self.refused = []
        self.over = False

    async def one(self):
        while not self.over:
            begun = False
            try:
                number = next(self._numbers)
                asked = chat(max_tokens=12, seed=number)
                asked["messages"] = [{"role": "user", "content": f"{number}: {STORY}"}]
                async for chunk in await self._client.chat.completions.create(**asked, stream=True):
                    begun = begun or bool(chunk.choices and chunk.choices[0].delta.content)
                self.good += 1
            except openai.APIError as error:
                if begun:
                    self.broken += 1
                else:
                    self.refused.append(repr(error))


@pytest.mark.timeout(180)
def test_an_engine_killed_under_load_fails_nobody_before_the_first_piece(front, engines, tmp_path):
    before = [engine.generated() for engine in engines]

    async def states():
        return [r["state"] for r in await asyncio.to_thread(replicas, front)]

    async def scene():
        async with client(front, openai.AsyncOpenAI) as asking:
            clients = Clients(asking)
            return clients, *await killed(clients)

    async def killed(clients):
        tasks = [asyncio.create_task(clients.one()) for _ in range(6)]
        await until_many(clients, 18)
        shares = [e.generated() - b for e, b in zip(engines, before, strict=True)]
        engines[0].process.send_signal(signal.SIGKILL)
        await until_many(clients, clients.good + 18)
        left = await states()
        engines[0].process.wait()
        engines[0] = Llama(tmp_path, engines[0].port)
        await asyncio.to_thread(engines[0].wait_up)
        await asyncio.to_thread(until, lambda: up(front), 15)
        await until_many(clients, clients.good + 18)
        clients.over = True
        await asyncio.gather(*tasks)
        return shares, left, engines[0].generated()

    clients, shares, left, again = asyncio.run(scene())
    print(f"\n{clients.good} good, {clients.broken} broken; tokens {shares}; then {left}, {again}")
    assert clients.refused == []
    assert clients.broken <= 2  # what the dead engine was saying: it has two slots
    assert min(shares) > 0.2 * sum(shares)
    assert left == ["down", "up"]
    assert again > 0


async def until_many(clients, count):
    async with asyncio.timeout(90):
        while clients.good < count:
            await asyncio.sleep(0.05)


def replicas(front):
    return front.describe("chat")["replicas"]


def up(front):
    return [row["state"] for row in replicas(front)] == ["up", "up"]
