"""The remote model against a real server: all that passes through it, over both protocols."""

import asyncio
import time
from dataclasses import replace

import numpy as np
import pytest
from tests.routing.remote.asking import request, run, serving
from tests.system.serving import until

from inferd.core.errors import DeadlineExceeded, InvalidInput, ModelFailed, NotFound, Unavailable
from inferd.core.message import HIGH, collected
from inferd.core.trace import Trace
from inferd.routing.remote.servable import RemoteModel

HARD = {
    "int64": [2**53 + 1, -(2**63)],
    "uint64": [2**64 - 1],
    "float16": [65504, np.nan],
    "float32": [np.inf, np.nan],
    "float64": [-np.inf, 1e300],
    "bytes": [b"", b"\xff\x00", "é".encode()],
}
NAMES = (
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16",
    "float32", "float64", "bytes",
)  # fmt: skip


def every_datatype(rows, columns):
    found = {}
    for name in NAMES:
        count = rows * columns
        values = [*HARD.get(name, []), *(n % 100 for n in range(count))][:count]
        array = np.empty(count, object)
        array[:] = [v if isinstance(v, bytes) else str(v).encode() for v in values]
        if name != "bytes":
            array = np.array(values, dtype=name)
        found[name] = array.reshape(rows, columns)
    return found


@pytest.mark.parametrize("shape", [(2, 4), (1, 1), (3, 0), (1000, 7)], ids=str)
def test_every_datatype_passes_through(url, shape):
    inputs = every_datatype(*shape)

    async def main():
        async with serving(url, name="echo", model="Echo") as model:
            response = await model(request(inputs, model="echo"))
            assert list(response.outputs) == [name + "_out" for name in NAMES]
            for name, array in inputs.items():
                answered = response.outputs[name + "_out"]
                assert answered.dtype == array.dtype
                np.testing.assert_array_equal(answered, array)

    run(main())


def test_scalars_and_fixed_shapes_pass_through(url):
    async def main():
        async with serving(url, name="scalars", model="Scalars") as model:
            assert not model.model.signature.batched
            inputs = {
                "n": np.array(41),
                "t": np.array(b"\xfe", object),
                "g": np.arange(6, dtype=np.float32).reshape(2, 3),
            }
            outputs = (await model(request(inputs))).outputs
            assert (outputs["n"].shape, int(outputs["n"])) == ((), 42)
            assert outputs["t"].item() == b"\xfe"
            np.testing.assert_array_equal(outputs["g"], inputs["g"].T)

    run(main())


def test_large_tensors_are_views_of_what_was_received(url):
    inputs = every_datatype(2, 2) | {
        "float32": np.linspace(0, 1, 4_000_000, dtype=np.float32).reshape(2, -1)
    }

    async def main():
        async with serving(url, name="echo", model="Echo") as model:
            outputs = (await model(request(inputs, 20, outputs=("float32_out",)))).outputs
            assert list(outputs) == ["float32_out"]
            np.testing.assert_array_equal(outputs["float32_out"], inputs["float32"])
            assert not outputs["float32_out"].flags.owndata

    run(main())


def test_the_timings_say_what_the_other_side_took(url):
    async def main():
        async with serving(url, model="Work") as model:
            response = await model(request({"seconds": np.array([0.05], np.float32)}))
            assert 0.04 < response.timings.run < 0.5
            assert response.timings.batch_size == 1
            assert response.version == "1"

    run(main())


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [(-2.0, InvalidInput, "no time is that short"), (-0.5, ModelFailed, "does not like")],
    ids=["input", "model"],
)
def test_errors_of_the_model_keep_their_kind(url, value, kind, message):
    async def main():
        async with serving(url, model="Work") as model:
            with pytest.raises(kind, match=message) as caught:
                await model(request({"seconds": np.array([value], np.float32)}))
            assert "service 'work'" in caught.value.message
            assert model.service.breaker.state == "closed"

    run(main())


def test_a_model_that_is_not_there(url):
    async def main():
        async with serving(url, model="Work") as good, serving(url, describe=False) as service:
            model = RemoteModel(service, good.model, "1")
            with pytest.raises(NotFound, match="no model named 'work'"):
                await model(request({"seconds": np.array([0], np.float32)}))

    run(main())


def test_the_deadline_is_kept_here_and_told_there(url, far):
    async def main():
        async with serving(url, model="Work") as model:
            begin = time.monotonic()
            with pytest.raises(DeadlineExceeded):
                await model(request({"seconds": np.array([0.6], np.float32)}, 0.2))
            assert 0.15 < time.monotonic() - begin < 0.5
            with pytest.raises(DeadlineExceeded, match="no time is left"):
                await model(request({"seconds": np.array([0], np.float32)}, 0.0))
            # The worker sleeps on; who waits behind it with too little time is not run at all.
            assert (await model(request({"seconds": np.array([0], np.float32)}))).outputs

    run(main())


def test_the_service_s_own_timeout_is_kept(url):
    async def main():
        async with serving(url, model="Work", timeout=0.15) as model:
            begin = time.monotonic()
            with pytest.raises(DeadlineExceeded):
                await model(request({"seconds": np.array([0.4], np.float32)}, 30))
            assert time.monotonic() - begin < 0.4

    run(main())


def test_id_and_trace_arrive(url, far):
    trace = Trace("ab" * 16, "cd" * 8)

    async def main():
        async with serving(url, model="Work") as model:
            await model(
                request(
                    {"seconds": np.array([0], np.float32)}, id=f"passed-{url[:4]}", priority=HIGH,
                    trace=trace,
                )
            )  # fmt: skip

    run(main())
    until(lambda: f"passed-{url[:4]}" in far.access, 5)


def test_each_question_is_a_span_of_its_own(url):
    spans = []
    trace = Trace("ab" * 16, "cd" * 8, sink=spans.append)

    async def main():
        async with serving(url, model="Work") as model:
            await model(request({"seconds": np.array([0], np.float32)}, trace=trace))
            with pytest.raises(ModelFailed):
                await model(request({"seconds": np.array([-0.5], np.float32)}, trace=trace))

    run(main())
    assert [(s.name, s.kind, s.error) for s in spans] == [
        ("ask work", "client", None), ("ask work", "client", "model_failed"),
    ]  # fmt: skip
    assert {s.trace.trace_id for s in spans} == {trace.trace_id}
    assert spans[0].attributes["server.address"] == "127.0.0.1"


def test_what_is_cancelled_here_is_stopped_there(url, far):
    """A place at the other side is free again long before the work would have been done."""

    async def main():
        async with serving(url, model="Work") as model:
            slow = {"seconds": np.array([0.3], np.float32)}
            tasks = [asyncio.create_task(model(request(slow, 30))) for _ in range(30)]
            await asyncio.sleep(0.15)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            begin = time.monotonic()
            await model(request({"seconds": np.array([0], np.float32)}))
            assert time.monotonic() - begin < 2

    run(main())


# -- streams ---------------------------------------------------------------------------------------


def prompt(text, **parameters):
    return request({"prompt": np.array([text], object)}, model="story", parameters=parameters)


def test_answers_come_in_pieces(url):
    async def main():
        async with serving(url, name="story", model="Story") as model:
            assert model.model.streams
            assert model.model.plan.split
            response = await model(prompt("é", max_tokens=3))
            (name,) = {n for piece in [await anext(response.chunks)] for n in piece}
            rest = [piece[name].tolist() for piece in [p async for p in response.chunks]]
            assert rest == [["é1 ".encode()], ["é2 ".encode()]]
            whole = await collected(await model(prompt("a", max_tokens=2)))
            assert whole[name].tolist() == [b"a0 a1 "]
            assert model.service.outcomes == {"ok": 2}

    run(main())


def test_bytes_that_are_no_text_are_answered_in_pieces(url):
    async def main():
        async with serving(url, name="sizes", model="Sizes") as model:
            sound = np.array([b"\xff\x00\xfe"], object)
            whole = await collected(await model(request({"sound": sound}, model="sizes")))
            assert [a.tolist() for a in whole.values()] == [[b"3 ff00fe"]]

    run(main())


def test_pieces_come_while_the_rest_is_made(url):
    async def main():
        async with serving(url, name="story", model="Story") as model:
            begin = time.monotonic()
            response = await model(prompt("a", max_tokens=4, seconds=0.2))
            await anext(response.chunks)
            assert time.monotonic() - begin < 0.6
            assert len([p async for p in response.chunks]) == 3

    run(main())


def test_an_error_after_pieces_keeps_its_kind_and_is_not_asked_again(url):
    async def main():
        async with serving(url, name="story", model="Story") as model:
            response = await model(prompt("a", max_tokens=60))
            with pytest.raises(InvalidInput, match="fifty is too many"):
                await collected(response)
            assert model.service.outcomes == {"invalid_input": 1}

    run(main())


def test_a_stream_that_is_closed_stops_there_and_frees_its_place(url):
    async def main():
        async with serving(url, name="story", model="Story") as model:
            for _ in range(20):  # more than the model generates for at once
                response = await model(prompt("a", max_tokens=40, seconds=0.1))
                await anext(response.chunks)
                await response.chunks.aclose()
                with pytest.raises(StopAsyncIteration):
                    await anext(response.chunks)
            assert all(r.load.in_flight == 0 for r in model.service.replicas)
            assert model.service.outcomes == {"cancelled": 20}

    run(main())


def test_a_stream_ends_by_its_deadline(url):
    async def main():
        async with serving(url, name="story", model="Story") as model:
            slow = prompt("a", max_tokens=40, seconds=0.1)
            slow.deadline = time.monotonic() + 0.5
            begin = time.monotonic()
            with pytest.raises(DeadlineExceeded):
                await collected(await model(slow))
            assert time.monotonic() - begin < 1.5

    run(main())


def test_several_examples_are_refused_by_a_stream(url):
    async def main():
        async with serving(url, name="story", model="Story") as model:
            with pytest.raises(InvalidInput, match="one example at a time, got 2"):
                await model(request({"prompt": np.array([b"a", b"b"], object)}))

    run(main())


def test_nobody_is_there():
    async def main():
        for url in ("http://127.0.0.1:9", "grpc://127.0.0.1:9"):
            async with serving(url, describe=False, retries=1) as service:
                from inferd.codecs.oip_described import describe

                model = RemoteModel(
                    service, describe({"outputs": [{"name": "y", "datatype": "FP32", "shape": [-1]}]}), "1"
                )  # fmt: skip
                begin = time.monotonic()
                with pytest.raises(Unavailable, match=r"service 'work' at 127\.0\.0\.1:9"):
                    await model(request({"seconds": np.array([0], np.float32)}))
                assert time.monotonic() - begin < 1

    run(main())


def test_what_is_left_out_goes_there_as_its_default(url):
    async def main():
        async with serving(url, name="work", model="Work") as there:
            (seconds,) = there.model.signature.inputs
            signature = replace(there.model.signature, inputs=(replace(seconds, default=0.0),))
            model = RemoteModel(there.service, replace(there.model, signature=signature), "1")
            response = await model(request({}))

            assert all(len(array) == 1 for array in response.outputs.values())

    run(main())
