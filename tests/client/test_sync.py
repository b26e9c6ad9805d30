"""What a client does with a real server. Every test runs on ``Client`` and on ``AsyncClient``."""

import socket
import threading
import time

import numpy as np
import pytest
from tests.client.serving import answering
from tests.system.serving import serving

from inferd import Client
from inferd.core.errors import (
    DeadlineExceeded,
    InferdError,
    InvalidInput,
    NotFound,
    Overloaded,
    Unavailable,
)

ROW = [1, 2, 3, 4]


def test_an_example_is_answered_without_a_batch_axis(client):
    result = client.predict("Sums", ROW)

    assert result["sum"].shape == () and result["pair"].shape == (2,)
    assert result["sum"] == 10 and result["sum"].dtype == np.float32
    assert (result.model, result.version) == ("Sums", "1")


def test_a_batch_is_answered_as_one(client):
    result = client.predict("Sums", np.arange(12.0).reshape(3, 4))

    assert result["sum"].tolist() == [6, 22, 38]
    assert result["pair"].shape == (3, 2)


def test_a_batch_of_one_stays_a_batch(client):
    assert client.predict("Sums", [ROW])["sum"].shape == (1,)


def test_answers_can_be_written_to(client):
    array = client.predict("Sums", np.ones((5, 4)))["pair"]
    array += 1

    assert array.tolist() == [[2, 2]] * 5


@pytest.mark.parametrize("binary", [True, False, None], ids=["binary", "json", "negotiated"])
@pytest.mark.parametrize("compression", [None, "gzip"], ids=["plain", "gzip"])
def test_every_form_gives_the_same(make, server, binary, compression):
    client = make(server.url, binary=binary, compression=compression)
    rows = np.random.default_rng(0).random((500, 4), np.float32)

    np.testing.assert_allclose(client.predict("Sums", rows)["sum"], rows.sum(1), rtol=1e-6)


def test_inputs_by_name_texts_and_numbers(client):
    result = client.predict("People", {"age": 31, "city": "Köln"})

    assert result.text("told") == "Köln: 31"
    assert result["told"][()] == "Köln: 31".encode()
    assert result["age"] == 31


def test_rows_of_objects_are_a_batch(client):
    result = client.predict("People", [{"age": 1, "city": "A"}, {"age": 2, "city": "B"}])

    assert result.text("told").tolist() == ["A: 1", "B: 2"]


def test_a_table_goes_in_and_comes_out(client):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"city": ["A", "B"], "age": [1, 2]}, index=["x", "y"])
    told = client.predict("People", table).to_pandas()

    assert told.to_dict("index") == {
        "x": {"told": "A: 1", "age": 1},
        "y": {"told": "B: 2", "age": 2},
    }
    features = pandas.DataFrame(np.ones((3, 4)))
    assert client.predict("Sums", features).to_pandas()["sum"].tolist() == [4, 4, 4]


def test_bytes_go_through_as_they_are(client):
    data = bytes(range(256))

    result = client.predict("Bytes", data)
    assert result["b"][()] == data and result["size"] == 256
    assert client.predict("Bytes", [b"\xff", "é"])["b"].tolist() == [b"\xff", "é".encode()]


def test_an_image_goes_as_a_file_or_as_pixels(client, tmp_path):
    images = pytest.importorskip("PIL.Image")
    image = images.new("RGB", (4, 2), (10, 20, 30))
    image.save(tmp_path / "a.png")

    assert client.predict("Pixels", image)["mean"].tolist() == [10, 20, 30]
    assert client.predict("Pixels", tmp_path / "a.png")["mean"].tolist() == [10, 20, 30]
    assert client.predict("Pixels", [image] * 3)["mean"].shape == (3, 3)
    assert bytes(client.predict("Bytes", image)["b"][()])[:4] == b"\x89PNG"
    sent = client.predict("Bytes", tmp_path / "a.png")["b"][()]
    assert sent == (tmp_path / "a.png").read_bytes()


def test_a_model_without_a_batch_takes_its_tensor(client):
    given = np.arange(6.0).reshape(2, 3)

    assert client.predict("Grid", given).value.tolist() == given.T.tolist()
    assert client.predict("Grid", given.tolist()).value.shape == (3, 2)


def test_outputs_versions_ids_and_timings_are_asked_for(make, server):
    client = make(server.url, timings=True)
    result = client.predict("Sums", ROW, version=1, outputs=["sum"], request_id="mine-1")

    assert list(result) == ["sum"]
    assert result.id == result.request_id == "mine-1"
    assert result.value == 10
    assert set(result.timings) == {"decode", "queue", "batch", "run", "encode"}
    assert 0 < result.timings["run"] < 1


def test_several_models_need_one(client):
    with pytest.raises(InvalidInput, match="a name is needed") as error:
        client.predict(ROW)
    assert "Sums" in error.value.help


@pytest.mark.parametrize(
    ("model", "inputs", "kind", "status", "said"),
    [
        ("Sums", [1, 2], InvalidInput, None, r"must have shape \[4\]"),
        ("Sums", {"y": 1}, InvalidInput, None, "no input named 'y'"),
        ("Sums", [-1, 2, 3, 4], InvalidInput, 400, "negative numbers"),
        ("People", {"age": 1}, InvalidInput, 400, "'city' is missing"),
        ("Summs", ROW, NotFound, 404, "Summs"),
    ],
    ids=["shape", "name", "model", "missing", "unknown"],
)
def test_a_refusal_says_what_and_why(client, model, inputs, kind, status, said):
    with pytest.raises(kind, match=said) as error:
        client.predict(model, inputs)

    assert type(error.value) is kind
    assert error.value.status == status
    assert (error.value.request_id is not None) == (status is not None)


def test_the_server_tells_of_itself(client):
    assert client.live() and client.ready() and client.ready("Sums")
    assert not client.ready("Summs")
    assert "Sums" in client.models()
    metadata = client.metadata("Sums")
    assert [(s.name, s.shape) for s in metadata.inputs] == [("x", (-1, 4))]
    assert metadata.versions == ("1",)
    assert client.config("Sums")["name"] == "Sums"
    client.predict("Sums", ROW)
    (stats,) = client.stats("Sums")["model_stats"]
    assert stats["inference_count"] >= 1
    assert len(client.stats()["model_stats"]) > 1


def test_pieces_come_as_they_are_made(client):
    pieces = client.stream("Story", "a", parameters={"max_tokens": 3})

    assert [piece.text() for piece in pieces] == ["a0 ", "a1 ", "a2 "]
    assert client.predict("Story", "a", parameters={"max_tokens": 3}).text() == "a0 a1 a2 "
    assert list(client.generate("Story", "ü", max_tokens=2)) == ["ü0 ", "ü1 "]


def test_a_model_that_does_not_stream_gives_one_piece(client):
    (piece,) = client.stream("Sums", ROW)

    assert piece["sum"] == 10


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_piece_has_the_axes_that_predict_answers(client, count):
    (piece,) = client.stream("Lists", count)
    whole = client.predict("Lists", count)

    assert {n: (a.dtype, a.shape, a.tolist()) for n, a in piece.items()} == {
        n: (a.dtype, a.shape, a.tolist()) for n, a in whole.items()
    }
    assert piece["texts"].shape == (count,)


def test_the_first_piece_does_not_wait_for_the_last(client):
    begin = time.monotonic()
    pieces = client.generate("Story", "a", max_tokens=20, seconds=0.05)

    assert next(pieces) == "a0 "
    assert time.monotonic() - begin < 0.6
    pieces.close()


def test_closing_a_stream_ends_the_generation(client, server):
    pieces = client.stream("Story", "a", parameters={"max_tokens": 49, "seconds": 0.1})
    next(pieces)
    pieces.close()
    begin = time.monotonic()
    client.predict("Story", "b", parameters={"max_tokens": 1})

    assert time.monotonic() - begin < 2, "the stream that was closed goes on"


def test_what_fails_in_a_stream_is_raised_after_its_pieces(client):
    seen = []
    with pytest.raises(InferdError, match="fifty is too many"):
        for piece in client.generate("Story", "a", max_tokens=60):
            seen.append(piece)
    assert len(seen) == 50


def test_what_fails_before_a_stream_has_its_status(client):
    with pytest.raises(NotFound) as error:
        list(client.stream("Summs", "a"))
    assert error.value.status == 404
    with pytest.raises(InvalidInput, match="one example"):
        list(client.stream("Story", ["a", "b"]))


def test_the_time_of_a_call_is_bounded(client):
    client.predict("Slow", 0.0)
    begin = time.monotonic()
    with pytest.raises(DeadlineExceeded) as error:
        client.predict("Slow", 2.0, timeout=0.2)

    assert time.monotonic() - begin < 1
    assert error.value.request_id
    time.sleep(2)


def test_the_time_of_a_stream_is_bounded(client):
    with pytest.raises(DeadlineExceeded):
        list(client.generate("Story", "a", max_tokens=49, seconds=0.05, timeout=0.3))


def test_a_silent_server_is_given_up(make):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = make(f"http://127.0.0.1:{silent.getsockname()[1]}", binary=False, timeout="200ms")
        with pytest.raises(DeadlineExceeded, match="no answer within 0.2 s") as error:
            client.metadata("m")
        assert error.value.status is None


def test_a_server_that_drips_is_given_up(make):
    def respond(handler, body):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in range(50):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)

    with answering(respond) as (url, _):
        begin = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            make(url, timeout=0.3).metadata("m")
        assert time.monotonic() - begin < 1


def test_an_overloaded_server_is_asked_again_when_it_says(make):
    def respond(handler, body):
        if len(requests) < 3:
            handler.say(429 + 74 * (len(requests) == 2), {"error": "busy"}, Retry_After="1")
        else:
            handler.say(200, {"models": ["a"]})

    with answering(respond) as (url, requests):
        begin = time.monotonic()
        assert make(url).models() == ["a"]
        assert 2 <= time.monotonic() - begin < 4
        assert len(requests) == 3
        assert len({headers["X-Request-Id"] for _, _, headers, _ in requests}) == 1
        left = [float(headers["X-Request-Timeout"][:-1]) for _, _, headers, _ in requests]
        assert left[0] > left[1] + 0.9 > left[2] + 1.8


def test_a_server_that_wants_more_time_than_there_is_is_not_waited_for(make):
    with answering(lambda h, b: h.say(503, {"error": "loading"}, Retry_After="60")) as (url, asked):
        begin = time.monotonic()
        with pytest.raises(Unavailable, match="loading") as error:
            make(url, timeout=5).models()
        assert time.monotonic() - begin < 1
        assert (error.value.status, error.value.retry_after, len(asked)) == (503, 60.0, 1)


def test_other_failures_are_not_repeated(make):
    with answering(lambda h, b: h.say(500, {"error": "broken"})) as (url, asked):
        with pytest.raises(InferdError, match="broken"):
            make(url).models()
        assert len(asked) == 1


def test_the_budget_ends_repeats(make):
    with answering(lambda h, b: h.say(429, {"error": "busy"})) as (url, asked):
        client = make(url, retries=3)
        for _ in range(10):
            with pytest.raises(Overloaded):
                client.models()
        assert 10 + 8 <= len(asked) <= 10 + 14


def test_nobody_there_is_said(make):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    client = make(f"http://127.0.0.1:{port}", retries=1)
    with pytest.raises(Unavailable, match="Connection refused") as error:
        client.models()
    assert error.value.help == "is the server running?"
    assert not client.live() and not client.ready()


def test_a_server_that_comes_up_is_waited_for(make):
    def respond(handler, body):
        if len(requests) < 4:
            handler.say(503, {"ready": False, "reasons": ["model a is loading"]})
        else:
            handler.say(200, {"ready": True})

    with answering(respond) as (url, requests):
        make(url).wait_until_ready(5)
        assert len(requests) == 4
        requests.clear()
        with pytest.raises(Unavailable, match=r"the server is not ready after 0.1 s: "):
            make(url).wait_until_ready("100ms")


def test_a_large_tensor_goes_both_ways(client):
    rows = np.random.default_rng(1).random((300_000, 4), np.float32)

    result = client.predict("Sums", rows, timeout=60)
    assert (result["pair"] == rows[:, :2]).all()


def test_any_request_can_be_sent(client):
    answer = client.ask(
        "POST", "/models/Sums/predict", body=b'{"data": [1, 2, 3, 4]}', media="application/json"
    )

    assert answer.json() == {"result": {"sum": 10.0, "pair": [1.0, 2.0]}}
    with pytest.raises(InvalidInput, match="data") as error:
        client.ask("POST", "/models/Sums/predict", body=b"{}", media="application/json")
    assert error.value.status == 400 and error.value.help == 'send {"data": ...}'
    body = b'{"data": "a", "parameters": {"max_tokens": 2}}'
    events = client.events("/models/Story/predict", body=body, media="application/json")
    assert list(events) == [b'{"result":"a0 "}', b'{"result":"a1 "}']


def test_a_closed_client_says_so(make, server):
    client = make(server.url)
    client.models()
    client.close() if isinstance(client, Client) else client.aclose()
    with pytest.raises(Unavailable, match="closed"):
        client.models()


def test_a_header_that_cannot_be_sent_is_refused(make, server):
    with pytest.raises(InvalidInput):
        make(server.url).predict("Sums", ROW, request_id="a\nb")
    with pytest.raises(InvalidInput):
        make(server.url, headers={"X-A": "ü\n"}).models()


def test_threads_share_a_client(server):
    with Client(server.url, connections=4) as client:
        results, errors = {}, []

        def ask(number):
            try:
                for _ in range(5):
                    results[number] = float(client.predict("Sums", [number] * 4)["sum"])
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not errors
    assert results == {n: 4.0 * n for n in range(16)}


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    trustme = pytest.importorskip("trustme")
    folder = tmp_path_factory.mktemp("secure")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    (folder / "asked.py").write_text(
        "from inferd import Model\n\n\nclass Length(Model):\n"
        "    def predict(self, text: str) -> int:\n        return len(text)\n"
    )
    with serving(
        folder, "asked:Length", "--tls-cert", folder / "cert.pem", "--tls-key", folder / "key.pem",
        "--executor", "inline", cwd=folder,
    ) as running:  # fmt: skip
        host, port = running.data
        yield f"https://{host}:{port}", folder


def test_a_certificate_is_trusted_when_told(make, secure):
    url, folder = secure

    assert make(url, ca=folder / "ca.pem").predict("four").value == 4
    assert make(url, verify=False).predict("four").value == 4
    with pytest.raises(Unavailable, match="certificate verify failed"):
        make(url, retries=0).predict("four")
    with pytest.raises(InvalidInput, match="cannot be read"):
        make(url, ca=folder / "missing.pem")


def test_a_broken_connection_is_made_anew(make):
    """A server that closes a kept connection at the very moment it is used again."""

    def respond(handler, body):
        if len(requests) == 2:
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
        else:
            handler.say(200, {"models": ["a"]})

    with answering(respond) as (url, requests):
        client = make(url)
        assert client.models() == client.models() == ["a"]
        assert len(requests) == 3


def test_a_model_that_changed_is_looked_at_again(make):
    metadata = {"name": "m", "outputs": [], "inputs": [{"name": "x", "datatype": "FP32"}]}
    width = [2]

    def respond(handler, body):
        if handler.path == "/v2/models/m":
            metadata["inputs"][0]["shape"] = [-1, width[0]]
            handler.say(200, metadata)
        else:
            output = {"name": "y", "datatype": "FP32", "shape": [1, 1], "data": [1.0]}
            handler.say(200, {"model_name": "m", "outputs": [output]})

    with answering(respond) as (url, requests):
        client = make(url, binary=False)
        client.predict("m", [1, 2])
        width[0] = 3
        time.sleep(1.1)
        assert client.predict("m", [1, 2, 3]).value == [1.0]
        assert [path for _, path, _, _ in requests].count("/v2/models/m") == 2
