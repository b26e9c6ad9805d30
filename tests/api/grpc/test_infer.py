import json

import grpc
import numpy as np
import pytest
from tests.api.grpc.served import Counting, Served, refused, version
from tests.api.serving import Direct, Early, Numpy
from tests.codecs.protobuf.test_infer import X, request, typed, with_parameter
from tests.codecs.signatures import signature

from inferd.api.settings import ApiSettings
from inferd.core.clock import monotonic
from inferd.core.errors import Unavailable
from inferd.core.plan import BatchPlan
from inferd.routing.table import LOADING


def ask(served, message, **call):
    answer = served.inference("ModelInfer", "ModelInferResponse", message, **call)
    return {
        o.name: np.frombuffer(raw, "<f4").reshape(o.shape)
        for o, raw in zip(answer.outputs, answer.raw_output_contents, strict=True)
    }


@pytest.mark.parametrize("servable", [Numpy, Direct, Early], ids=lambda s: s.__name__)
def test_a_model_is_asked(servable):
    with Served(version(servable=servable(lambda x: {"y": x * 2}))) as served:
        np.testing.assert_array_equal(ask(served, request(x=("FP32", X)))["y"], X * 2)
        assert served.statuses() == [200]


def test_versions_are_named():
    first = version("m", "1", function=lambda x: {"y": x * 1})
    second = version("m", "2", function=lambda x: {"y": x * 2})
    with Served(first, second) as served:
        message = request(x=("FP32", X))
        np.testing.assert_array_equal(ask(served, message)["y"], X * 2)
        message.model_version = "1"
        np.testing.assert_array_equal(ask(served, message)["y"], X)
        message.model_version = "9"
        with refused(grpc.StatusCode.NOT_FOUND) as said:
            ask(served, message)
        assert "versions: 1, 2" in said["details"]


def test_a_model_that_loads_is_unavailable():
    loading = version()
    loading.state = LOADING
    with Served(loading) as served, refused(grpc.StatusCode.UNAVAILABLE) as said:
        ask(served, request(x=("FP32", X)))

    assert said["retry-after"] == "1"


def test_grpcs_own_retry_policy_repeats_what_was_refused():
    """A client repeats only a call that brought it no message, not even an empty one."""
    asked = []

    def first_refuses(x):
        asked.append(len(x))
        if len(asked) == 1:
            raise Unavailable("not yet", retry_after=0.1)
        return {"y": x * 2}

    retries = {
        "maxAttempts": 3, "initialBackoff": "0.1s", "maxBackoff": "0.1s", "backoffMultiplier": 1,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }  # fmt: skip
    config = json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": retries}]})
    with Served(version(function=first_refuses)) as served:
        served.channel.close()
        served.channel = grpc.insecure_channel(
            served.address, options=[("grpc.service_config", config)]
        )
        np.testing.assert_array_equal(ask(served, request(x=("FP32", X)))["y"], X * 2)

        assert asked == [len(X), len(X)]
        assert served.statuses() == [503, 200]


def test_chosen_outputs_alone_are_answered():
    sig = signature([("x", "FP32", [-1, 2])], [("y", "FP32", [-1, 2]), ("z", "FP32", [-1, 2])])
    both = version(sig=sig, function=lambda x: {"y": x, "z": -x})
    message = request(x=("FP32", X))
    message.outputs.add(name="z")
    with Served(both) as served:
        assert list(ask(served, message)) == ["z"]


def test_rows_that_cannot_share_a_batch_are_run_one_by_one():
    servable = Numpy(lambda x: {"y": x + 1})
    with Served(version(servable=servable, plan=BatchPlan(split=True))) as served:
        np.testing.assert_array_equal(ask(served, request(x=("FP32", X)))["y"], X + 1)

    assert [r.inputs["x"].shape for r in servable.seen] == [(1, 2), (1, 2)]


def test_the_messages_own_timeout_and_priority_count(served):
    message = with_parameter(request(x=("FP32", X)), "timeout", int64_param=3_000_000)
    with_parameter(message, "priority", uint64_param=1)
    ask(served, message)
    seen = served.table.find("m").servable.seen[-1]

    assert seen.deadline - monotonic() == pytest.approx(3, abs=1)
    assert seen.priority == 1


def test_parameters_reach_the_model():
    servable = Numpy(lambda x: {"y": x})
    with Served(version(servable=servable)) as served:
        ask(served, with_parameter(request(x=("FP32", X)), "seed", int64_param=4))

    assert servable.seen[0].parameters == {"seed": 4}


def test_a_large_message_of_values_is_read_off_the_loop():
    sig = signature([("x", "FP32", [-1, -1])], [("y", "FP32", [-1, -1])])
    with Served(version(sig=sig), settings=ApiSettings(offload_bytes=1000)) as served:
        values = np.arange(1000, dtype=np.float32)
        message = typed("FP32", [1, 1000], fp32_contents=values.tolist())
        np.testing.assert_array_equal(ask(served, message)["y"], [values * 2])


def test_a_streaming_model_is_answered_whole():
    counting = version(servable=Counting(), streams=True)
    counting.signature = signature([("x", "FP32", [-1, 2])], [("y", "FP32", [-1, -1])])
    with Served(counting) as served:
        answer = ask(served, request(x=("FP32", np.array([[2, 7]], np.float32))))

    assert answer["y"].tolist() == [[0, 7, 1, 7]]


def test_what_was_asked_before_is_asked_of_the_version_that_answers_now():
    first = version("m", "1", function=lambda x: {"y": x * 1})
    with Served(first) as served:
        message = request(x=("FP32", X))
        for factor in (1, 1):
            np.testing.assert_array_equal(ask(served, message)["y"], X * factor)
        served.table.put(version("m", "2", function=lambda x: {"y": x * 2}))
        for _ in range(2):
            np.testing.assert_array_equal(ask(served, message)["y"], X * 2)
        latest = served.table.find("m")
        latest.state = LOADING
        with refused(grpc.StatusCode.UNAVAILABLE):
            ask(served, message)
        served.table.changed("m")
        np.testing.assert_array_equal(ask(served, message)["y"], X)
        assert [seen[0].context.version for seen in served.observed] == list("112221")


def test_a_message_of_many_fields_is_read():
    texts = version(
        sig=signature([("x", "BYTES", [-1, -1])], [("y", "FP32", [-1, 1])]),
        function=lambda x: {"y": np.full((1, 1), x.size, np.float32)},
    )
    with Served(texts) as served:
        message = typed("BYTES", [1, 1 << 18], bytes_contents=[b"a"] * (1 << 18))

        assert ask(served, message)["y"].tolist() == [[1 << 18]]


def test_a_message_of_countless_fields_is_refused():
    with Served(version()) as served, refused(grpc.StatusCode.INVALID_ARGUMENT) as said:
        message = typed("FP32", [1, 2])
        message.inputs.extend([type(message.inputs[0])()] * 1_300_000)
        ask(served, message)

    assert "fields" in said["details"]
