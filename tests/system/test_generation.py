"""SmolLM2 behind every door: many at once, stops, limits, clients that leave, workers that die."""

import asyncio
import contextlib
import http.client
import json
import os
import queue
import signal
import threading
import time

import numpy as np
import openai
import pytest
from examples.kit.recipes import smollm
from tests.system.serving import serving, until
from tritonclient.grpc import InferenceServerClient, InferInput

import inferd

pytestmark = pytest.mark.timeout(300)

QUESTIONS = [
    "What is the capital of France?", "Name three colours.", "Write a short poem about rain.",
    "Tell me about the number seven.", "Who was Ada Lovelace?", "How do birds fly?",
    "What is a database?", "Explain gravity to a child.",
]  # fmt: skip
TOKENS = 40


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    smollm.build(folder / "smollm")
    return folder


@pytest.fixture(scope="module")
def server(repository, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("server"), repository, start=60.0) as server:
        yield server


@pytest.fixture
def client(server):
    host, port = server.data
    with openai.OpenAI(
        base_url=f"http://{host}:{port}/v1", api_key="none", max_retries=0
    ) as client:
        yield client


def messages(text):
    return [{"role": "user", "content": text}]


def chat(client, text, **more):
    """Ask for a stream; return the text, how it ended, and its usage."""
    given = {"max_tokens": TOKENS, "temperature": 0, **more}
    found, reason, usage = [], None, None
    with client.chat.completions.create(
        model="smollm", messages=messages(text), stream=True,
        stream_options={"include_usage": True}, **given,
    ) as chunks:  # fmt: skip
        for chunk in chunks:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                found.append(choice.delta.content or "")
                reason = choice.finish_reason or reason
    return "".join(found), reason, usage


def together(work, items):
    """Do something for each item in a thread of its own; return what came of each."""
    out = [None] * len(items)

    def one(index, item):
        out[index] = work(item)

    threads = [threading.Thread(target=one, args=pair) for pair in enumerate(items)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return out


@pytest.fixture(scope="module")
def expected(repository):
    """What the library itself answers to each question, one at a time in this process."""
    import onnxruntime_genai as og

    tokenizer = og.Tokenizer(str(repository / "smollm" / "1"))
    prompts = [
        tokenizer.apply_chat_template(json.dumps(messages(q)), add_generation_prompt=True)
        for q in QUESTIONS
    ]
    return [smollm.ask(repository / "smollm" / "1", prompt, TOKENS) for prompt in prompts]


def test_eight_at_once_are_answered_as_the_library_answers_each_alone(client, expected):
    answers = together(lambda text: chat(client, text), QUESTIONS)

    assert [text for text, _, _ in answers] == expected
    for text, reason, usage in answers:
        assert text and reason in {"stop", "length"} and 0 < usage.completion_tokens <= TOKENS
        assert usage.prompt_tokens > 25


def test_every_door_gives_the_same_answer(server, client, expected):
    question = messages(QUESTIONS[0])
    given = {"messages": json.dumps(question)}
    whole = client.chat.completions.create(
        model="smollm", messages=question, max_tokens=TOKENS, temperature=0
    )
    answers = [whole.choices[0].message.content]
    body = {"data": given, "parameters": {"max_tokens": TOKENS}}
    answers.append(server.ask(body=json.dumps(body)).result["text"])
    flat = json.dumps({**given, "max_tokens": TOKENS})
    answers.append(server.ask("/v2/models/smollm/generate", body=flat).json["text"])
    host, port = server.data
    with inferd.Client(f"http://{host}:{port}") as ours:
        answers.append("".join(ours.generate("smollm", given, max_tokens=TOKENS)))
    answers.append("".join(pieces(server.grpc, given["messages"])))

    assert answers == [expected[0]] * 5


def pieces(address, text):
    """Ask in Triton's client over gRPC; return the texts as they come."""
    array = np.array([text.encode()], object)
    tensor = InferInput("messages", array.shape, "BYTES")
    tensor.set_data_from_numpy(array)
    told = queue.Queue()
    with InferenceServerClient(address) as client:
        client.start_stream(callback=lambda result, error: told.put((result, error)))
        client.async_stream_infer(
            "smollm", [tensor], parameters={"max_tokens": TOKENS}, enable_empty_final_response=True
        )
        found = []
        while True:
            result, error = told.get(timeout=60)
            assert error is None
            if result.get_response().parameters["triton_final_response"].bool_param:
                return found
            found.append(result.as_numpy("text")[0].decode())


def test_an_answer_in_this_process_is_the_same(repository, expected):
    with inferd.load(repository / "smollm" / "1") as model:
        given = {"messages": json.dumps(messages(QUESTIONS[0]))}
        pieces = model.stream(given, parameters={"max_tokens": TOKENS})
        assert "".join(str(piece["text"]) for piece in pieces) == expected[0]


def test_the_async_client_streams_too(server, expected):
    async def ask():
        host, port = server.data
        async with openai.AsyncOpenAI(
            base_url=f"http://{host}:{port}/v1", api_key="none"
        ) as client:
            stream = await client.chat.completions.create(
                model="smollm", messages=messages(QUESTIONS[1]), max_tokens=TOKENS, temperature=0,
                stream=True,
            )  # fmt: skip
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert asyncio.run(ask()) == expected[1]


@pytest.mark.parametrize("door", ["openai", "predict"])
def test_a_stop_text_ends_an_answer_across_pieces(server, client, expected, door):
    text = expected[4]
    middle = text.index(" ", len(text) // 2)
    stop = text[middle - 3 : middle + 4]  # parts of two words: no piece holds it whole
    if door == "openai":
        answer, reason, _ = chat(client, QUESTIONS[4], stop=stop)
    else:
        body = {
            "data": {"messages": json.dumps(messages(QUESTIONS[4]))},
            "parameters": {"max_tokens": TOKENS, "stop": stop},
        }
        found = server.ask(body=json.dumps(body)).result
        answer, reason = found["text"], found["finish_reason"]

    assert (answer, reason) == (text[: text.index(stop)], "stop")


def test_limits_hold(client):
    _, reason, usage = chat(client, "Count to one hundred.", max_tokens=7)
    assert (reason, usage.completion_tokens) == ("length", 7)
    with pytest.raises(openai.BadRequestError, match="tokens, and the model reads at most 4095"):
        chat(client, "word " * 5000)
    with pytest.raises(openai.BadRequestError, match="unknown parameter 'beams'"):
        chat(client, "Hi", extra_body={"beams": 4})


def test_a_seed_gives_the_same_answer_and_no_seed_another(client):
    def answer(seed):
        return chat(client, "Tell me a story.", temperature=1.0, seed=seed)[0]

    assert answer(3) == answer(3) != answer(4)


def running(server):
    return server.metrics()["inferd_in_flight"]


def test_clients_that_leave_free_their_places(server, client, expected):
    """More clients than places leave in the middle; the next is answered at once, and rightly."""
    host, port = server.data
    connections = []
    body = {
        "data": {"messages": json.dumps(messages("Write a long story."))},
        "parameters": {"max_tokens": 2000, "min_tokens": 2000},
    }
    for _ in range(12):
        connection = http.client.HTTPConnection(host, port, timeout=60)
        headers = {"Accept": "text/event-stream", "X-Request-Timeout": "200"}
        connection.request("POST", "/predict", json.dumps(body), headers)
        connections.append(connection)
    answers = [connections[i].getresponse() for i in range(8)]
    assert all(answer.status == 200 and answer.read(20) for answer in answers)
    for connection in connections:
        connection.sock.close() if connection.sock else None
        connection.close()
    for answer in answers:
        answer.close()
    until(lambda: running(server) == 0, 10)

    assert chat(client, QUESTIONS[0])[0] == expected[0]


def test_a_deadline_ends_a_long_answer_and_frees_its_place(server):
    body = {
        "data": {"prompt": "Once upon a time"}, "parameters": {"max_tokens": 3000, "min_tokens": 3000},
    }  # fmt: skip
    answer = server.ask(body=json.dumps(body), headers={"X-Request-Timeout": "1"})

    assert answer.status == 504
    until(lambda: running(server) == 0, 10)


def test_a_worker_that_dies_ends_what_it_said_and_the_next_is_answered(server, client, expected):
    (pid,) = server.workers("smollm")
    seen = []
    with pytest.raises(openai.APIError) as caught:
        with client.chat.completions.create(
            model="smollm", messages=messages("Write a long story."), max_tokens=2000, stream=True,
            extra_body={"min_tokens": 2000},
        ) as chunks:  # fmt: skip
            for chunk in chunks:
                seen.append(chunk)
                if len(seen) == 10:
                    os.kill(pid, signal.SIGKILL)
    assert len(seen) >= 10 and "worker" in str(caught.value)

    assert chat(client, QUESTIONS[0])[0] == expected[0]
    assert server.workers("smollm") != [pid] and server.restarts("smollm")["dead"] >= 1


def test_who_does_not_read_holds_up_nobody(server, client, expected):
    host, port = server.data
    slow = http.client.HTTPConnection(host, port, timeout=60)
    body = {"data": {"prompt": "Once"}, "parameters": {"max_tokens": 3000, "min_tokens": 3000}}
    headers = {"Accept": "text/event-stream", "X-Request-Timeout": "200"}
    with contextlib.closing(slow):
        slow.request("POST", "/predict", json.dumps(body), headers)
        assert slow.getresponse().status == 200
        time.sleep(0.5)
        assert chat(client, QUESTIONS[2])[0] == expected[2]
